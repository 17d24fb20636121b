package sink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/notification"
)

// Stream writes one relaxed Extended JSON object a line, to a standard output.
type Stream struct {
	Output io.Writer
}

// Name is the sink's name in logs and metrics.
func (s Stream) Name() string { return "stdout" }

// Write writes the documents at least once: a write cut in its midst is repeated.
func (s Stream) Write(_ context.Context, docs []notification.Document) error {
	lines, err := ndjson(docs)
	if err != nil {
		return err
	}
	if _, err := s.Output.Write(lines); err != nil {
		return fmt.Errorf("write to stdout: %w", err)
	}
	return nil
}

func ndjson(docs []notification.Document) ([]byte, error) {
	var buf bytes.Buffer
	for _, d := range docs {
		line, err := bson.MarshalExtJSON(d.Notification(), false, false)
		if err != nil {
			return nil, fmt.Errorf("write %s as JSON: %w", d.ID, err)
		}
		buf.Write(line)
		buf.WriteByte('\n')
	}
	return buf.Bytes(), nil
}

// File writes NDJSON to a file that it has for itself.
type File struct {
	file *os.File
	// end is where the last whole line ends.
	end int64
}

// ErrLocked says that another process writes to the file.
var ErrLocked = errors.New("another process writes to it")

// OpenFile opens or makes the file, takes its lock, and cuts a last line that a
// crash has left torn. The error wraps ErrLocked where another process has it.
func OpenFile(path string) (*File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("open the sink file: %w", err)
	}
	if err := lock(f); err != nil {
		return nil, errors.Join(fmt.Errorf("lock the sink file %s: %w", path, err), f.Close())
	}
	s := &File{file: f}
	if s.end, err = lastLineEnd(f); err != nil {
		return nil, errors.Join(fmt.Errorf("read the sink file %s: %w", path, err), f.Close())
	}
	if err := s.rewind(); err != nil {
		return nil, errors.Join(fmt.Errorf("cut the sink file %s: %w", path, err), f.Close())
	}
	// A file just made is safe once its folder is, too.
	if err := syncFolder(filepath.Dir(path)); err != nil {
		return nil, errors.Join(fmt.Errorf("flush the folder of the sink file: %w", err), f.Close())
	}
	return s, nil
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
func (s *File) Name() string { return "file" }

// Write appends the documents and flushes them to the disk, at least once. After
// a failure, such as a full disk, the file ends with the last whole line.
func (s *File) Write(_ context.Context, docs []notification.Document) error {
	lines, err := ndjson(docs)
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

// Close returns the file and its lock back.
func (s *File) Close() error { return s.file.Close() }

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
