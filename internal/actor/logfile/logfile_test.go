package logfile

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestRotations writes, rotates and reads in random order: with renames nothing is lost and nothing comes twice, and what a
// copytruncate loses is reported.
func TestRotations(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		folder, err := os.MkdirTemp("", "logfile")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(folder)
		path := filepath.Join(folder, "mongod[1].log")
		written, read, rotations, unread := []string{}, []string{}, 0, 0
		f := Follower{Path: path}
		defer f.Close()
		var out *os.File
		write := func() {
			if out == nil {
				if out, err = os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			at := time.Unix(int64(1_800_000_000+len(written)), 0).UTC().Format("2006-01-02T15:04:05.000Z07:00")
			line := fmt.Sprintf(`{"t":{"$date":"%s"},"id":%d}`, at, len(written))
			written = append(written, line)
			unread++
			if _, err := out.WriteString(line + "\n"); err != nil {
				t.Fatal(err)
			}
		}
		lossy := false
		take := func() {
			r, err := f.Read()
			if err != nil {
				t.Fatal(err)
			}
			if lossy && !r.Missed {
				t.Fatal("lost lines were not reported")
			}
			lossy, unread = false, 0
			for _, line := range r.Lines {
				read = append(read, string(line))
			}
		}
		write()
		take()
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0, 1:
				write()
			case 2:
				take()
			case 3:
				if rapid.Bool().Draw(t, "copytruncate") && out != nil {
					take()
					if err := os.Truncate(path, 0); err != nil {
						t.Fatal(err)
					}
					write()
					lossy = true
					take()
					continue
				}
				rotations++
				if out != nil {
					out.Close()
					if err := os.Rename(path, fmt.Sprintf("%s.%d", path, rotations)); err != nil {
						t.Fatal(err)
					}
				}
				out = nil
			}
		}
		write()
		take()
		out.Close()
		if !slices.Equal(read, written) {
			t.Fatalf("read %q\nwritten %q", read, written)
		}
	})
}
