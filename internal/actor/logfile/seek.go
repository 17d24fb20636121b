package logfile

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// Skipped are the compressed files that Seek could not read.
type Skipped []string

// Seek opens the log at the last line that is not later than a time, or shortly before it: in the file at Path or in a rotated one. If
// that line is in a compressed file, it begins with the oldest uncompressed file, and returns the names of the compressed ones. Call it
// before the first Read. A missing file at Path is not an error.
func (f *Follower) Seek(at time.Time) (Skipped, error) {
	files, compressed, err := f.files()
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return compressed, nil
	}
	first := 0
	for i, file := range files {
		if !file.began.After(at) {
			first = i
		}
	}
	if !files[first].began.After(at) {
		compressed = nil
	}
	if err := f.open(files[first].path); err != nil {
		return compressed, err
	}
	return compressed, f.seek(at)
}

// files returns the log and its predecessors, oldest first, and the compressed ones.
func (f *Follower) files() (files []rotated, compressed Skipped, err error) {
	paths, err := f.siblings()
	if err != nil {
		return nil, nil, err
	}
	for _, path := range paths {
		file, err := os.Open(path)
		if err != nil { // removed meanwhile, or not readable
			continue
		}
		raw, err := head(file, fingerprintLength)
		_ = file.Close()
		began := lineTime(raw)
		switch {
		case err == nil && !began.IsZero():
			files = append(files, rotated{path, began})
		case isCompressed(path, raw):
			compressed = append(compressed, path)
		}
	}
	slices.SortStableFunc(files, func(a, b rotated) int { return a.began.Compare(b.began) })
	file, err := os.Open(f.Path)
	if errors.Is(err, os.ErrNotExist) {
		return files, compressed, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("open the log: %w", err)
	}
	defer file.Close()
	raw, err := head(file, fingerprintLength)
	return append(files, rotated{f.Path, lineTime(raw)}), compressed, err
}

func isCompressed(path string, raw []byte) bool {
	for _, suffix := range []string{".gz", ".bz2", ".xz", ".zst", ".lz4"} {
		if strings.HasSuffix(path, suffix) {
			return true
		}
	}
	return bytes.HasPrefix(raw, []byte{0x1f, 0x8b}) || bytes.HasPrefix(raw, []byte{0x28, 0xb5, 0x2f, 0xfd})
}

// seekStep is the precision of Seek, in bytes.
const seekStep = 64 << 10

// seek moves the open file to a line that is not later than a time, by bisection.
func (f *Follower) seek(at time.Time) error {
	info, err := f.file.Stat()
	if err != nil {
		return fmt.Errorf("read the size of the log: %w", err)
	}
	if f.fingerprint, err = head(f.file, fingerprintLength); err != nil {
		return err
	}
	low, high := int64(0), info.Size()
	for high-low > seekStep {
		middle := low + (high-low)/2
		found, err := f.timeFrom(middle)
		if err != nil {
			return err
		}
		if found.IsZero() || found.After(at) {
			high = middle
		} else {
			low = middle
		}
	}
	f.offset = low
	f.skipping = low > 0 // possibly within a line
	if low == 0 {
		f.fingerprint = nil
	}
	return nil
}

// timeFrom returns the time of the first complete line after an offset, zero if there is none nearby.
func (f *Follower) timeFrom(offset int64) (time.Time, error) {
	raw := make([]byte, seekStep)
	n, err := f.file.ReadAt(raw, offset)
	if n == 0 && err != nil {
		return time.Time{}, nil //nolint:nilerr // the end of the file
	}
	for _, line := range bytes.Split(raw[:n], []byte("\n"))[1:] {
		if at := lineTime(line); !at.IsZero() {
			return at, nil
		}
	}
	return time.Time{}, nil
}
