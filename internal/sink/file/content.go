package file

import (
	"bytes"
	"errors"
	"io"
	"os"
	"time"
)

// lastLineEnd searches backwards for the last newline and returns the offset after it. It
// returns an error for a file whose content does not begin with a notification.
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
		// A file that is being truncated may be shorter than its size was.
		n, err := f.ReadAt(buf[:end-start], start)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			return start + int64(i) + 1, nil
		}
		end = start
	}
	return 0, nil
}

// lineStart is how every line begins.
const lineStart = `{"_id":`

// checkStart expects the beginning of a line, after any zeros: earlier releases did not write
// with O_APPEND, so that copytruncate left a hole.
func checkStart(f *os.File) error {
	buf := make([]byte, 64<<10)
	at := int64(0)
	for {
		n, err := f.ReadAt(buf, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		zeros := n - len(bytes.TrimLeft(buf[:n], "\x00"))
		at += int64(zeros)
		if zeros < n || n == 0 {
			break
		}
		if err != nil {
			return nil // nothing but zeros
		}
	}
	return checkLineStart(f, at)
}

func checkLineStart(f *os.File, at int64) error {
	head := make([]byte, len(lineStart))
	n, err := f.ReadAt(head, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if string(head[:n]) != lineStart[:n] {
		return errors.New("the file does not contain ddltail notifications")
	}
	return nil
}

const (
	// copyTime is how long the copy of a file before its truncation may take.
	copyTime = 10 * time.Second
	// maxRecent is how many bytes of recent lines are kept.
	maxRecent = 4 << 20
)

// recentLines holds the lines written last, which the copy of a copytruncate may lack.
type recentLines struct {
	writes []recentWrite
	bytes  int
}

type recentWrite struct {
	at    time.Time
	lines []byte
}

// add keeps lines for copyTime, after which they are in the copy of any later truncation, up to
// maxRecent bytes. It drops the oldest.
func (r *recentLines) add(lines []byte, at time.Time) {
	r.writes = append(r.writes, recentWrite{at, lines})
	r.bytes += len(lines)
	for len(r.writes) > 0 && (r.bytes > maxRecent || at.Sub(r.writes[0].at) > copyTime) {
		r.bytes -= len(r.writes[0].lines)
		r.writes = r.writes[1:]
	}
}

// lostBy returns the lines that a truncation at a time may have lost.
func (r recentLines) lostBy(truncated time.Time) []byte {
	var lines []byte
	for _, w := range r.writes {
		if truncated.Sub(w.at) <= copyTime {
			lines = append(lines, w.lines...)
		}
	}
	return lines
}
