// Package logfile reads a member's log file continuously, across rotation by rename, reopen and copytruncate.
package logfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// maxLine bounds a line. A longer line is returned in part: its ids are at the beginning.
const maxLine = 1 << 20

// maxRead bounds the result of one Read, so that memory does not grow with the log.
const maxRead = 4 << 20

// fingerprintLength is how much of a file's beginning is compared to detect copytruncate.
const fingerprintLength = 512

// Follower returns the lines of a log file in order. The zero value with a Path is ready to use; it begins at the start of the current
// file.
type Follower struct {
	Path string

	file        *os.File
	offset      int64
	fingerprint []byte
	rest        []byte // the beginning of a line that is not complete yet
	skipping    bool   // skip the rest of a line that was returned in part
	original    bool   // the server itself wrote the open file: it is no copy
	unproven    bool   // nothing proves that the open file continues the previous one
	copied      bool   // the open file is the copy of a log that was truncated
}

// Result is the result of one Read.
type Result struct {
	Lines [][]byte
	// Missed reports that lines were lost before these: the file was truncated.
	Missed bool
	// Unproven reports that lines may have been lost before these: nothing proves that their file continues the one before.
	Unproven bool
	// More reports that the end of the log was not reached.
	More bool

	size int
}

func (r Result) full() bool { return r.size >= maxRead }

// Close closes the file.
func (f *Follower) Close() error {
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	f.file = nil
	return err
}

// Read returns the lines that were completed since the last call. A missing file at Path is not an error: it can be absent briefly during
// a rotation.
func (f *Follower) Read() (r Result, err error) {
	if f.file == nil {
		if err := f.open(f.Path); errors.Is(err, os.ErrNotExist) {
			return r, nil
		} else if err != nil {
			return r, err
		}
		f.unproven = true
	}
	r.Unproven, f.unproven = f.unproven, false
	r.Missed = r.Unproven && f.copied
	f.copied = f.copied && !r.Unproven
	if err := f.resume(&r); err != nil {
		return r, err
	}
	if err := f.drain(&r); err != nil {
		return r, err
	}
	truncated, err := f.truncated()
	if err != nil || truncated { // while it was read: lines of both may be among these
		return Result{Missed: r.Missed, Unproven: r.Unproven, More: true}, err
	}
	if err := f.advance(&r); err != nil {
		return r, err
	}
	r.More = r.full() || f.unproven
	return r, nil
}

// resume begins a truncated file again. Lines that were written between the last read and the copy are only in the copy, those after it
// are lost. The copy is read to its end first, if it is there.
func (f *Follower) resume(r *Result) error {
	truncated, err := f.truncated()
	if err != nil || !truncated {
		return err
	}
	log := f.file
	duplicate, err := f.openCopy()
	if err != nil {
		return err
	}
	if duplicate == nil {
		r.Missed = true
		f.begin(log)
		return nil
	}
	f.file, f.original, f.copied = duplicate, false, true
	if err := log.Close(); err != nil {
		return fmt.Errorf("close the truncated log: %w", err)
	}
	return nil
}

// openCopy opens a rotated file that begins like the open one and has what was read of that; nil if there is none.
func (f *Follower) openCopy() (*os.File, error) {
	siblings, err := f.siblings()
	if err != nil {
		return nil, err
	}
	for _, path := range siblings {
		file, err := os.Open(path)
		if err != nil { // removed meanwhile, or not readable
			continue
		}
		info, err := file.Stat()
		first, headErr := head(file, len(f.fingerprint))
		if err == nil && headErr == nil && len(first) > 0 && bytes.Equal(first, f.fingerprint) && info.Size() >= f.offset {
			return file, nil
		}
		_ = file.Close()
	}
	return nil, nil //nolint:nilnil // there is none
}

func (f *Follower) open(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	f.begin(file)
	f.original = path == f.Path || beganWithItsFile(file)
	return nil
}

// maxFirstDelay is the time between the creation of a log and its first line. A copy is created when the log is rotated.
const maxFirstDelay = time.Second

// beganWithItsFile reports whether a file was created when its first line was logged, as a log is that was renamed later, and a copy is not.
func beganWithItsFile(file *os.File) bool {
	created := born(file)
	first, err := head(file, fingerprintLength)
	return err == nil && !created.IsZero() && lineTime(first).Sub(created).Abs() < maxFirstDelay
}

func (f *Follower) begin(file *os.File) {
	f.file, f.offset, f.fingerprint, f.rest, f.skipping = file, 0, nil, nil, false
}

// truncated reports whether the file was truncated: it is shorter than the part that was read, or its beginning differs.
func (f *Follower) truncated() (bool, error) {
	info, err := f.file.Stat()
	if err != nil {
		return false, fmt.Errorf("read the size of the log: %w", err)
	}
	if info.Size() < f.offset {
		return true, nil
	}
	now, err := head(f.file, len(f.fingerprint))
	return !bytes.Equal(now, f.fingerprint), err
}

func head(file *os.File, length int) ([]byte, error) {
	raw := make([]byte, length)
	n, err := file.ReadAt(raw, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the beginning of the log: %w", err)
	}
	return raw[:n], nil
}

// drain reads to the end of the open file, or until the result is full.
func (f *Follower) drain(r *Result) error {
	chunk := make([]byte, 64<<10)
	for !r.full() {
		n, err := f.file.ReadAt(chunk, f.offset)
		if missing := fingerprintLength - len(f.fingerprint); missing > 0 && f.offset == int64(len(f.fingerprint)) {
			f.fingerprint = append(f.fingerprint, chunk[:min(n, missing)]...)
		}
		f.offset += int64(n)
		r.size += n
		f.split(chunk[:n], r)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
	}
	return nil
}

func (f *Follower) split(raw []byte, r *Result) {
	for len(raw) > 0 {
		part, after, complete := bytes.Cut(raw, []byte("\n"))
		raw = after
		if !f.skipping {
			f.rest = append(f.rest, part...)
		}
		switch {
		case complete && !f.skipping, !complete && len(f.rest) > maxLine:
			r.Lines = append(r.Lines, f.rest)
			f.rest, f.skipping = nil, !complete
		case complete:
			f.skipping = false
		}
	}
}

// advance opens the files that replaced the current one, which was read to its end, oldest first. It stops at one that is not
// proven to continue it.
func (f *Follower) advance(r *Result) error {
	for !r.full() {
		next, proven, err := f.next()
		if err != nil || next == "" {
			return err
		}
		// The last lines may have been written between the last read and the rotation.
		if err := f.drain(r); err != nil || r.full() {
			return err
		}
		if len(f.rest) > 0 {
			r.Lines = append(r.Lines, f.rest)
		}
		f.unproven = !proven
		if err := f.Close(); err != nil {
			return fmt.Errorf("close the rotated log: %w", err)
		}
		if err := f.open(next); err != nil || f.unproven {
			return err
		}
		if err := f.drain(r); err != nil {
			return err
		}
	}
	return nil
}

// rotated is the log or a rotated file.
type rotated struct {
	path  string
	began time.Time
}

// next returns the file after the open one, or "" while the open one is the log itself or no other exists yet. It is proven to
// continue the open one if the server wrote that and it still exists: it was renamed, and rotation removes the oldest files first. Another
// file may be the copy of copytruncate, which lacks what was written before the truncation.
func (f *Follower) next() (path string, proven bool, err error) {
	open, err := f.file.Stat()
	if err != nil {
		return "", false, fmt.Errorf("identify the open log: %w", err)
	}
	current, err := os.Stat(f.Path)
	if errors.Is(err, os.ErrNotExist) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("identify the log: %w", err)
	}
	if os.SameFile(open, current) {
		f.original = true
		return "", false, nil
	}
	siblings, err := f.siblings()
	if err != nil {
		return "", false, err
	}
	from := lineTime(f.fingerprint)
	var later []rotated
	exists := false
	for _, path := range append(siblings, f.Path) {
		began, same := identify(path, open)
		exists = exists || same
		if !same && began.After(from) {
			later = append(later, rotated{path, began})
		}
	}
	slices.SortStableFunc(later, func(a, b rotated) int { return a.began.Compare(b.began) })
	if len(later) == 0 { // the log has no first line yet
		return "", false, nil
	}
	return later[0].path, f.original && exists, nil
}

// siblings returns the files that a rotation may have created from the log: PATH.SUFFIX and PATH-SUFFIX, where the suffix begins with
// a digit, as a number or a time does. mongod.log-node2 and mongod.log-27018 can be the logs of other processes. If PATH is a link, as
// Kubernetes makes to the log of a container, its target is rotated.
func (f *Follower) siblings() ([]string, error) {
	base := f.Path
	if target, err := filepath.EvalSymlinks(base); err == nil {
		base = target
	}
	paths, err := filepath.Glob(globQuote(base) + `[.\-][0-9]*`)
	if err != nil {
		return nil, fmt.Errorf("list the rotated logs of %s: %w", f.Path, err)
	}
	return slices.DeleteFunc(paths, func(path string) bool { return isPort(path[len(base)+1:]) }), nil
}

// isPort reports whether a suffix can be the port of another server. A rotation's number has fewer digits, or begins with 0; a date has more.
func isPort(suffix string) bool {
	port, err := strconv.Atoi(suffix)
	return err == nil && suffix[0] != '0' && port >= 1024 && port <= 65535
}

func identify(path string, open os.FileInfo) (began time.Time, same bool) {
	file, err := os.Open(path)
	if err != nil { // removed meanwhile
		return time.Time{}, false
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return time.Time{}, false
	}
	first, _ := head(file, fingerprintLength)
	return lineTime(first), os.SameFile(info, open)
}

// lineTime returns the time of a file's first line.
func lineTime(raw []byte) time.Time {
	raw = bytes.ReplaceAll(raw, []byte(`\"`), []byte(`"`)) // escaped by Docker's json-file driver
	_, rest, _ := bytes.Cut(raw, []byte(`"$date":"`))
	text, _, _ := bytes.Cut(rest, []byte(`"`))
	at, err := time.Parse("2006-01-02T15:04:05.000Z07:00", string(text))
	if err != nil {
		return time.Time{}
	}
	return at
}

func globQuote(path string) string {
	var quoted []byte
	for _, c := range []byte(path) {
		if bytes.IndexByte([]byte(`*?[\`), c) >= 0 {
			quoted = append(quoted, '\\')
		}
		quoted = append(quoted, c)
	}
	return string(quoted)
}
