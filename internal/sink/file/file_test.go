package file

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ddltail/ddltail/internal/sink"
	"github.com/ddltail/ddltail/test/sinktest"
)

func spec(path string) sink.Spec { return sink.Spec{Kind: "file", Name: "file", Target: path} }

// TestOpenFile sees what is done to a file that is there already: a torn last line is
// cut, and a file of somebody else's is left as it is.
func TestOpenFile(t *testing.T) {
	zeros := strings.Repeat("\x00", 64<<10)
	long := `{"_id":"` + strings.Repeat("x", 200<<10) + "\"}\n"
	for _, c := range []struct{ before, after string }{
		{"", ""},
		{"{\"_id\":\"a\"}\n", "{\"_id\":\"a\"}\n"},
		{"{\"_id\":\"a\"}\n{\"_", "{\"_id\":\"a\"}\n"},
		{"{\"_id\":\"a\"}\n" + strings.TrimSpace(long), "{\"_id\":\"a\"}\n"},
		{long + `{"_id":"to`, long},
		{"{\"_i", ""},
		{strings.TrimSpace(long), ""},
		// A hole that copytruncate left where an earlier release did not append.
		{zeros + "{\"_id\":\"a\"}\n", zeros + "{\"_id\":\"a\"}\n"},
		{zeros + "{\"_id\":\"a\"}\n{\"_i", zeros + "{\"_id\":\"a\"}\n"},
		{zeros + "{\"_i", ""},
		{"{\"_id\":\"a\"}\n" + zeros, "{\"_id\":\"a\"}\n"},
		{zeros, ""},
		{zeros + "a\n", "refused"},
		{"a\n", "refused"},
		{"line\nlast line", "refused"},
		{"[]", "refused"},
	} {
		path := filepath.Join(t.TempDir(), "changes.ndjson")
		if err := os.WriteFile(path, []byte(c.before), 0o600); err != nil {
			t.Fatal(err)
		}
		want := c.after
		f, err := Open(spec(path))
		if (err != nil) != (want == "refused") {
			t.Errorf("%.40q: %v", c.before, err)
			continue
		}
		if err != nil {
			want = c.before
		} else if err := f.Close(); err != nil {
			t.Error(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%.40q: left with %.40q, %v", c.before, got, err)
		}
	}
}

func TestOpenFileNew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "changes.ndjson")
	f, err := Open(spec(path))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(spec(path)); !errors.Is(err, ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&^0o640 != 0 || info.Mode().Perm()&0o600 != 0o600 {
		t.Errorf("mode %v, %v, want 0640 less the umask", info.Mode(), err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(spec(path))
	if err != nil {
		t.Fatalf("the lock outlives the file: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	if _, err := Open(spec(t.TempDir())); err == nil {
		t.Error("a folder was opened")
	}
}

// TestLockOfEarlierRelease checks that a release that locked the file itself with flock(2)
// and this one exclude each other.
func TestLockOfEarlierRelease(t *testing.T) {
	path := filepath.Join(t.TempDir(), "changes.ndjson")
	earlier, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(earlier.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(spec(path)); !errors.Is(err, ErrLocked) {
		t.Errorf("opened under the lock of an earlier release: %v", err)
	}
	if err := earlier.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := Open(spec(path))
	if err != nil {
		t.Fatal(err)
	}
	if earlier, err = os.OpenFile(path, os.O_RDWR, 0); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(earlier.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); !errors.Is(err, syscall.EWOULDBLOCK) {
		t.Errorf("an earlier release gets the lock too: %v", err)
	}
	if err := errors.Join(earlier.Close(), f.Close()); err != nil {
		t.Error(err)
	}
}

func TestSink(t *testing.T) {
	sinktest.Run(t, func(t *testing.T) sinktest.Target {
		path := filepath.Join(t.TempDir(), "changes.ndjson")
		var last *File
		return sinktest.Target{
			Open: func(t *testing.T) sink.Sink {
				if last != nil {
					// The lock of a process ends with it.
					if err := last.Close(); err != nil {
						t.Fatal(err)
					}
				}
				var err error
				if last, err = Open(spec(path)); err != nil {
					t.Fatal(err)
				}
				return last
			},
			Read: func(t *testing.T, _ string) []string {
				text, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
			},
		}
	})
}
