package logfile

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSeek: what follows a time is read, in the log or its predecessors, and not much before it.
func TestSeek(t *testing.T) {
	began := time.Date(2026, 11, 25, 14, 0, 0, 0, time.UTC)
	write := func(t *testing.T, path string, first, n int) {
		t.Helper()
		var text strings.Builder
		for i := first; i < first+n; i++ {
			fmt.Fprintf(&text, `{"t":{"$date":"%s"},"id":1,"n":%d,"x":"%s"}`+"\n",
				began.Add(time.Duration(i)*time.Second).Format("2006-01-02T15:04:05.000Z07:00"), i, strings.Repeat("x", 200))
		}
		if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cases := []struct {
		name       string
		at         int
		compressed bool // of the older file
		first      int  // the latest line that may come first
		skipped    int
	}{
		{"in the log", 5_500, false, 5_500, 0},
		{"at its beginning", 5_000, false, 5_000, 0},
		{"in the predecessor", 1_000, false, 1_000, 0},
		{"before both", -10, false, 0, 0},
		{"after all", 99_999, false, 9_999, 0},
		{"in a compressed predecessor", 1_000, true, 5_000, 1},
		{"a compressed predecessor that does not count", 6_000, true, 6_000, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "mongod.log")
			write(t, path, 5_000, 5_000)
			if c.compressed {
				if err := os.WriteFile(path+".1.gz", []byte{0x1f, 0x8b, 8}, 0o600); err != nil {
					t.Fatal(err)
				}
			} else {
				write(t, path+"-20261125", 0, 5_000)
			}
			f := Follower{Path: path}
			defer f.Close()
			skipped, err := f.Seek(began.Add(time.Duration(c.at) * time.Second))
			if err != nil || len(skipped) != c.skipped {
				t.Fatalf("skipped %q, %v", skipped, err)
			}
			numbers := []int{}
			for more := true; more; {
				r, err := f.Read()
				if err != nil || r.Missed {
					t.Fatal(r.Missed, err)
				}
				for _, line := range r.Lines {
					var n int
					_, rest, _ := strings.Cut(string(line), `"n":`)
					if _, err := fmt.Sscanf(rest, "%d", &n); err != nil {
						t.Fatalf("not a whole line: %q", line)
					}
					numbers = append(numbers, n)
				}
				more = r.More
			}
			if len(numbers) == 0 || numbers[0] > c.first || numbers[0] < c.first-1_000 {
				t.Fatalf("begins with %v, want at most %d", numbers[:min(1, len(numbers))], c.first)
			}
			if last := numbers[len(numbers)-1]; last != 9_999 || len(numbers) != last-numbers[0]+1 {
				t.Errorf("%d lines from %d to %d", len(numbers), numbers[0], last)
			}
		})
	}
}
