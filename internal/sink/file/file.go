// Package file is the sink that appends documents to a file, one to a line.
package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/gofrs/flock"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/sink"
	"github.com/ddltail/ddltail/internal/sink/message"
)

// Kind returns the kind file.
func Kind() sink.Kind {
	return sink.Kind{
		Name: "file", Target: "PATH", Summary: "NDJSON", Options: []string{sink.KeyName, sink.KeyRequired, sink.KeyMaxBytes},
		Open: func(s sink.Spec, _ sink.Values, _ sink.Resources) ([]sink.Output, error) {
			f, err := Open(s)
			if err != nil {
				return nil, err
			}
			return []sink.Output{{Sink: f}}, nil
		},
	}
}

// File writes NDJSON to a file that it has for itself.
type File struct {
	name string
	// maxBytes is the limit of a line; 0 for none.
	maxBytes int
	file     *os.File
	lock     *flock.Flock
	// end is where the last whole line ends.
	end int64
}

// ErrLocked is returned if another process writes to the file.
var ErrLocked = errors.New("another process writes to it")

// fileMode is the mode of a new file.
const fileMode = 0o640

// Open opens or creates the file, locks it, and cuts a last line that a crash left
// incomplete. The error wraps ErrLocked if another process has the lock.
func Open(spec sink.Spec) (*File, error) {
	path := spec.Target
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, fmt.Errorf("open the sink file: %w", err)
	}
	s := &File{name: spec.Name, maxBytes: spec.MaxBytes, file: f}
	if s.lock, err = acquire(f); err != nil {
		return nil, errors.Join(fmt.Errorf("lock the sink file %s: %w", path, err), f.Close())
	}
	if s.end, err = lastLineEnd(f); err != nil {
		return nil, errors.Join(fmt.Errorf("read the sink file %s: %w", path, err), s.Close())
	}
	if err := s.rewind(); err != nil {
		return nil, errors.Join(fmt.Errorf("cut the sink file %s: %w", path, err), s.Close())
	}
	// A new file is durable only once its folder is.
	if err := syncFolder(filepath.Dir(path)); err != nil {
		return nil, errors.Join(fmt.Errorf("flush the folder of the sink file: %w", err), s.Close())
	}
	return s, nil
}

// acquire locks the file with flock(2), as earlier releases do: they exclude each other. The
// lock opens the path again, so that another file can have replaced this one.
func acquire(f *os.File) (*flock.Flock, error) {
	lock := flock.New(f.Name(), flock.SetFlag(os.O_RDWR|os.O_CREATE), flock.SetPermissions(fileMode))
	locked, err := lock.TryLock()
	if err == nil && !locked {
		err = ErrLocked
	}
	if err != nil {
		return nil, err
	}
	theirs, err := lock.Stat()
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	ours, err := f.Stat()
	if err == nil && !os.SameFile(ours, theirs) {
		err = errors.New("another file has replaced it")
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) {
		err = nil // a file system that has no such thing, a network's
	}
	return errors.Join(err, d.Close())
}

// Name is the sink's name in logs and metrics.
func (s *File) Name() string { return s.name }

// Setup has nothing to do: Open did it.
func (s *File) Setup(context.Context, sink.Own) error { return nil }

// Write appends the documents and flushes them to the disk, at least once. After
// a failure, such as a full disk, the file ends with the last whole line.
func (s *File) Write(_ context.Context, docs []notification.Document) error {
	lines, err := message.Lines(docs, s.maxBytes)
	if err != nil {
		return err
	}
	if _, err = s.file.Write(lines); err == nil {
		err = s.file.Sync()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write to %s: %w", s.file.Name(), err), s.rewind())
	}
	s.end += int64(len(lines))
	return nil
}

// Close closes the file and releases its lock.
func (s *File) Close() error { return errors.Join(s.file.Close(), s.lock.Close()) }

func (s *File) rewind() error {
	if err := s.file.Truncate(s.end); err != nil {
		return err
	}
	_, err := s.file.Seek(s.end, io.SeekStart)
	return err
}

// lastLineEnd looks backwards for the last newline. A file that does not begin as one
// of notifications does is somebody else's, and is neither cut nor written to.
func lastLineEnd(f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, errors.New("not a regular file")
	}
	if err := checkStart(f); err != nil {
		return 0, err
	}
	buf := make([]byte, 64<<10)
	for end := info.Size(); end > 0; {
		start := max(0, end-int64(len(buf)))
		part := buf[:end-start]
		if _, err := f.ReadAt(part, start); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(part, '\n'); i >= 0 {
			return start + int64(i) + 1, nil
		}
		end = start
	}
	return 0, nil
}

// lineStart is how every line begins.
const lineStart = `{"_id":`

// checkStart sees a first line, or the beginning of one.
func checkStart(f *os.File) error {
	head := make([]byte, len(lineStart))
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if string(head[:n]) != lineStart[:n] {
		return errors.New("the file does not contain ddltail notifications")
	}
	return nil
}
