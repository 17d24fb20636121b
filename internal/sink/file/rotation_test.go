package file

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/notification"
)

// rotations are the ways in which logrotate moves lines from a file to another, and what
// people do by hand.
func rotations() map[string]func(path, rotated string) error {
	return map[string]func(path, rotated string) error{
		"create": func(path, rotated string) error {
			if err := os.Rename(path, rotated); err != nil {
				return err
			}
			f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o640)
			if err != nil {
				return err
			}
			return f.Close()
		},
		"nocreate": os.Rename,
		"copytruncate": func(path, rotated string) error {
			if err := copyFile(path, rotated); err != nil {
				return err
			}
			return os.Truncate(path, 0)
		},
		"slow copytruncate": func(path, rotated string) error {
			if err := copyFile(path, rotated); err != nil {
				return err
			}
			time.Sleep(20 * time.Millisecond)
			return os.Truncate(path, 0)
		},
		// The lines are moved to another file by a hard link before the removal.
		"remove": func(path, rotated string) error {
			if err := os.Link(path, rotated); err != nil {
				return err
			}
			return os.Remove(path)
		},
	}
}

func copyFile(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o600)
}

func document(i int) notification.Document {
	return notification.Document{ID: fmt.Sprintf("rs0:%010d:0000000001:000000", i), Change: notification.Change{Operation: notification.CreateCollection}}
}

// TestRotation rotates a file again and again while documents are written: none is lost,
// every line is whole, and no file has a hole.
func TestRotation(t *testing.T) {
	for name, rotate := range rotations() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "changes.ndjson")
			s, err := Open(spec(path))
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error, 1)
			var rotated atomic.Int32
			go func() { done <- rotateUntil(ctx, path, rotate, &rotated) }()
			documents := 0
			for ; documents < 150 || rotated.Load() < 5 && documents < 30_000; documents++ {
				i := documents
				if err := s.Write(t.Context(), []notification.Document{document(i)}); err != nil {
					t.Error(err)
				}
			}
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
			// What the last truncation lost comes with the next line.
			if err := errors.Join(s.Write(t.Context(), []notification.Document{document(documents)}), s.Close()); err != nil {
				t.Error(err)
			}
			files, ids := readLines(t, filepath.Dir(path), strings.HasSuffix(name, "copytruncate"))
			for i := range documents + 1 {
				if !ids[document(i).ID] {
					t.Fatalf("document %d of %d is in none of %d files", i, documents, files)
				}
			}
			if files < 5 {
				t.Errorf("rotated to %d files only", files)
			}
			t.Logf("%d files", files)
		})
	}
}

func rotateUntil(ctx context.Context, path string, rotate func(path, rotated string) error, rotated *atomic.Int32) error {
	for n := 0; ctx.Err() == nil; n++ {
		if err := rotate(path, fmt.Sprintf("%s.%d", path, n)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		} else if err == nil {
			rotated.Add(1)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return nil
}

// readLines reads the files of a folder, and returns the _ids of all complete lines. A copy
// made during a write may end with a part of a line.
func readLines(t *testing.T, dir string, copies bool) (files int, ids map[string]bool) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	ids = map[string]bool{}
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.IndexByte(content, 0) >= 0 {
			t.Errorf("%s has a hole", e.Name())
		}
		lines := json.NewDecoder(bytes.NewReader(content))
		for {
			var line struct {
				ID string `json:"_id"`
			}
			err := lines.Decode(&line)
			if errors.Is(err, io.EOF) || copies && errors.Is(err, io.ErrUnexpectedEOF) {
				break
			}
			if err != nil {
				t.Errorf("%s: a line is split: %v", e.Name(), err)
				break
			}
			ids[line.ID] = true
		}
	}
	return len(entries), ids
}

// TestReopen checks what SIGHUP does: a file that was moved is released, and the new one is
// created and locked at once.
func TestReopen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "changes.ndjson")
	s, err := Open(spec(path))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Reopen(); err != nil {
		t.Errorf("nothing was moved: %v", err)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := s.Reopen(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(spec(path)); !errors.Is(err, ErrLocked) {
		t.Errorf("the new file is not locked: %v", err)
	}
	rotated, err := Open(spec(path + ".1"))
	if err != nil {
		t.Fatalf("the moved file is not released: %v", err)
	}
	if err := rotated.Close(); err != nil {
		t.Error(err)
	}
}

// TestReopenFails checks that a write is refused, not written to a file that is no longer
// there, until the new file can be opened.
func TestReopenFails(t *testing.T) {
	for name, c := range map[string]struct {
		obstruct func(path string) error
		want     string
	}{
		"its folder was moved": {func(path string) error { return os.Rename(filepath.Dir(path), filepath.Dir(path)+".old") }, "no such file"},
		"another file": {func(path string) error {
			return errors.Join(os.Remove(path), os.WriteFile(path, []byte("other\n"), 0o600))
		}, "does not contain ddltail notifications"},
		"a folder": {func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) }, "is a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "sink")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "changes.ndjson")
			s, err := Open(spec(path))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if err := c.obstruct(path); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := s.Write(t.Context(), []notification.Document{document(1)}); err == nil || !strings.Contains(err.Error(), c.want) {
					t.Fatalf("got %v, want %q", err, c.want)
				}
			}
			if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700)); err != nil {
				t.Fatal(err)
			}
			if err := s.Write(t.Context(), []notification.Document{document(2)}); err != nil {
				t.Fatal(err)
			}
			if _, ids := readLines(t, dir, false); len(ids) != 1 || !ids[document(2).ID] {
				t.Errorf("got %v", ids)
			}
		})
	}
}

// TestTruncatedAnywhere checks that a file cut within a line goes on with a whole one.
func TestTruncatedAnywhere(t *testing.T) {
	line, err := bson.MarshalExtJSON(document(0).Notification(), false, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int64{0, 1, int64(len(line)) + 1, int64(len(line)) + 5} {
		path := filepath.Join(t.TempDir(), "changes.ndjson")
		s, err := Open(spec(path))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for i := range 2 {
			if err := s.Write(t.Context(), []notification.Document{document(i)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Truncate(path, size); err != nil {
			t.Fatal(err)
		}
		if err := s.Write(t.Context(), []notification.Document{document(2)}); err != nil {
			t.Fatal(err)
		}
		if _, ids := readLines(t, filepath.Dir(path), false); len(ids) != 3 {
			t.Errorf("truncated to %d: got %v, want the lines lost and the new one", size, ids)
		}
	}
}
