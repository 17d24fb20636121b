package sink

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/ddltail/ddltail/internal/notification"
)

const (
	// createdByRotation is how long a missing file is left to be created by the program that
	// rotated it: logrotate's `create` sets aside a file that was created in between.
	createdByRotation = 100 * time.Millisecond
	createdPoll       = 5 * time.Millisecond
)

// ErrLocked is returned if another process writes to the file.
var ErrLocked = errors.New("another process writes to it")

// File appends NDJSON to the file at a path, which no other process may write to. It
// follows rotation: each write goes to the file that the path names at that moment.
type File struct {
	path string

	mu   sync.Mutex
	file *os.File
	// end is the offset behind the last complete line.
	end int64
	// recent are lines that a truncation may lose, and lost those that one has lost.
	recent recentLines
	lost   []byte
}

// OpenFile opens or creates the file, locks it, and cuts an incomplete last line that a
// crash left behind. The error wraps ErrLocked if another process has the lock.
func OpenFile(path string) (*File, error) {
	s := &File{path: path}
	if err := s.open(); err != nil {
		return nil, err
	}
	return s, nil
}

// Name is the sink's name in logs and metrics.
func (s *File) Name() string { return "file" }

// Write appends the documents and flushes them to the disk, at least once. After a
// failure, such as a full disk, the file ends with its last complete line.
func (s *File) Write(_ context.Context, docs []notification.Document) error {
	lines, err := ndjson(docs)
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
	if current, err := isAt(s.path, s.file); err != nil || current {
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

// follow makes the open file the one that the path names, and end its end. It reports
// whether the file was replaced.
func (s *File) follow() (replaced bool, err error) {
	current, err := isAt(s.path, s.file)
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

// resize accepts the size that the file has. After copytruncate, lines written between the
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

// open opens and locks the file that the path names, and makes it the one that is written.
// On an error the previous one, if any, stays.
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
		// All its lines are flushed; closing it can lose nothing.
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

// trim cuts an incomplete last line.
func (s *File) trim() error {
	end, err := lastLineEnd(s.file)
	if err != nil {
		return fmt.Errorf("read the sink file %s: %w", s.path, err)
	}
	s.end = end
	return s.cut(end)
}

// cut removes what lies behind an offset. It never extends a file that another process has
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

// openLocked opens or creates the file and locks it. A file that was replaced before it
// was locked is not the one to write to.
func openLocked(path string) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o640)
		if err != nil {
			return nil, fmt.Errorf("open the sink file: %w", err)
		}
		if err := lock(f); err != nil {
			return nil, errors.Join(fmt.Errorf("lock the sink file %s: %w", path, err), f.Close())
		}
		current, err := isAt(path, f)
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if current {
			return f, nil
		}
		if err := f.Close(); err != nil {
			return nil, fmt.Errorf("close a rotated file: %w", err)
		}
	}
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
