// Package file is the sink that appends documents to a file, one per line.
package file

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/sink"
	"github.com/ddltail/ddltail/internal/sink/message"
)

const (
	// createdByRotation is how long a missing file is expected to be created by the program that
	// rotated it: logrotate's `create` renames a file that was created in between.
	createdByRotation = 100 * time.Millisecond
	createdPoll       = 5 * time.Millisecond
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

// ErrLocked is returned if another process writes to the file.
var ErrLocked = errors.New("another process writes to the file")

// File appends NDJSON to the file at a path. It locks the file against other processes and
// supports rotation: each write goes to the file that the path names at that time.
type File struct {
	name, path string
	// maxBytes is the limit of a line; 0 for none.
	maxBytes int

	mu   sync.Mutex
	file *lockedFile
	// end is the offset after the last complete line.
	end int64
	// recent are lines that a truncation may lose, lost those that a truncation has lost.
	recent recentLines
	lost   []byte
}

// Open opens or creates the file, locks it, and removes an incomplete last line that a crash
// left. The error wraps ErrLocked if another process has the lock.
func Open(spec sink.Spec) (*File, error) {
	s := &File{name: spec.Name, path: spec.Target, maxBytes: spec.MaxBytes}
	if err := s.open(); err != nil {
		return nil, err
	}
	return s, nil
}

// Name is the sink's name in logs and metrics.
func (s *File) Name() string { return s.name }

// Setup does nothing: Open has prepared the file.
func (s *File) Setup(context.Context, sink.Own) error { return nil }

// Write appends the documents and flushes them to the disk, at least once. After a
// failure, such as a full disk, the file ends with its last complete line.
func (s *File) Write(_ context.Context, docs []notification.Document) error {
	lines, err := message.Lines(docs, s.maxBytes)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.follow(); err != nil {
		return err
	}
	for {
		if err := s.append(lines); err != nil {
			return err
		}
		// A file that was replaced during the write may be compressed or removed already.
		replaced, err := s.follow()
		if err != nil || !replaced {
			return err
		}
	}
}

// Reopen opens the file that the path names, and creates it, if the one that is open was
// moved or removed. It releases the disk space of a removed file before the next write.
func (s *File) Reopen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if current, err := isAt(s.path, s.file.File); err != nil || current {
		return err
	}
	return s.open()
}

// Close closes the file and releases its lock.
func (s *File) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.file.Close()
}

// follow switches to the file that the path names, if it is another one, and updates end. It
// reports whether the file was replaced.
func (s *File) follow() (replaced bool, err error) {
	current, err := isAt(s.path, s.file.File)
	if err != nil {
		return false, err
	}
	if !current {
		if err := awaitFile(s.path); err != nil {
			return false, err
		}
		if err := s.open(); err != nil {
			return false, err
		}
	} else if err := s.resize(); err != nil {
		return false, err
	}
	if err := s.append(s.lost); err != nil {
		return false, err
	}
	s.lost = nil
	return !current, nil
}

// resize updates end if the file was truncated. After copytruncate, lines written between the
// copy and the truncation are in neither file: they are written again.
func (s *File) resize() error {
	info, err := s.file.Stat()
	if err != nil {
		return fmt.Errorf("read the size of %s: %w", s.path, err)
	}
	if info.Size() == s.end {
		return nil
	}
	if info.Size() < s.end {
		s.lost = append(s.lost, s.recent.lostBy(info.ModTime())...)
		s.recent = recentLines{}
	}
	return s.trim()
}

// open opens and locks the file that the path names, and switches to it. After an error the
// previous file, if any, is kept.
func (s *File) open() error {
	f, err := openLocked(s.path)
	if err != nil {
		return err
	}
	next := &File{path: s.path, file: f}
	err = next.trim()
	if err == nil {
		// A created file is durable only once its folder is flushed.
		err = syncFolder(filepath.Dir(s.path))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("open the sink file %s: %w", s.path, err), f.Close())
	}
	previous := s.file
	s.file, s.end, s.recent = f, next.end, recentLines{}
	if previous != nil {
		// All its lines are flushed, so that closing cannot lose any.
		_ = previous.Close()
	}
	return nil
}

// append writes complete lines and flushes them.
func (s *File) append(lines []byte) error {
	if len(lines) == 0 {
		return nil
	}
	_, err := s.file.Write(lines)
	if err == nil {
		err = s.file.Sync()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write to %s: %w", s.path, err), s.cut(s.end))
	}
	s.end += int64(len(lines))
	s.recent.add(lines, time.Now())
	return nil
}

// trim removes an incomplete last line.
func (s *File) trim() error {
	end, err := lastLineEnd(s.file.File)
	if err != nil {
		return fmt.Errorf("read the sink file %s: %w", s.path, err)
	}
	s.end = end
	return s.cut(end)
}

// cut truncates the file at an offset. It never extends a file that another process has
// truncated: that would leave a hole of zeros.
func (s *File) cut(end int64) error {
	info, err := s.file.Stat()
	if err == nil && info.Size() > end {
		err = s.file.Truncate(end)
	}
	if err != nil {
		return fmt.Errorf("cut an incomplete line of %s: %w", s.path, err)
	}
	return nil
}

// lockedFile is an open file with its lock.
type lockedFile struct {
	*os.File
	lock *flock.Flock
}

// Close closes the file and releases its lock.
func (f *lockedFile) Close() error { return errors.Join(f.File.Close(), f.lock.Close()) }

// openLocked opens or creates the file and locks it. If the file was replaced before it was
// locked, it tries again.
func openLocked(path string) (*lockedFile, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o640)
		if err != nil {
			return nil, fmt.Errorf("open the sink file: %w", err)
		}
		locked, err := lock(path, f)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("lock the sink file %s: %w", path, err), f.Close())
		}
		if locked != nil {
			return locked, nil
		}
		if err := f.Close(); err != nil {
			return nil, fmt.Errorf("close a rotated file: %w", err)
		}
		if err := awaitFile(path); err != nil {
			return nil, err
		}
	}
}

// lock locks an open file with flock(2), as earlier releases do: they exclude each other. It
// returns nil if the path no longer names the file. The lock opens the path again, so both
// must have opened the same file.
func lock(path string, f *os.File) (*lockedFile, error) {
	l := flock.New(path, flock.SetFlag(os.O_RDWR))
	locked, err := l.TryLock()
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !locked:
		return nil, ErrLocked
	}
	same, err := isLocked(l, f)
	if err == nil && same {
		same, err = isAt(path, f)
	}
	if err != nil || !same {
		return nil, errors.Join(err, l.Close())
	}
	return &lockedFile{File: f, lock: l}, nil
}

// isLocked reports whether a lock belongs to an open file.
func isLocked(l *flock.Flock, f *os.File) (bool, error) {
	theirs, err := l.Stat()
	if err != nil {
		return false, err
	}
	ours, err := f.Stat()
	if err != nil {
		return false, err
	}
	return os.SameFile(ours, theirs), nil
}

// isAt reports whether the path names the open file, by device and inode.
func isAt(path string, f *os.File) (bool, error) {
	there, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("find the sink file: %w", err)
	}
	open, err := f.Stat()
	if err != nil {
		return false, fmt.Errorf("compare the sink file %s: %w", path, err)
	}
	return os.SameFile(there, open), nil
}

// awaitFile waits until the path exists, no longer than createdByRotation.
func awaitFile(path string) error {
	for end := time.Now().Add(createdByRotation); time.Now().Before(end); time.Sleep(createdPoll) {
		if _, err := os.Stat(path); err == nil || !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) {
		err = nil // some network file systems cannot flush a folder
	}
	return errors.Join(err, d.Close())
}
