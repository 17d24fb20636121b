package logfile

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// writer is a server that logs lines with consecutive numbers, and what rotates its log.
type writer struct {
	*rapid.T
	path    string
	out     *os.File
	written int
	rotated []string // oldest first
	count   int      // of rotations
}

func (w *writer) must(err error) {
	if err != nil {
		w.Fatal(err)
	}
}

func at(line int) time.Time { return time.Unix(int64(1_800_000_000+line), 0).UTC() }

func (w *writer) write() {
	if w.out == nil {
		out, err := os.OpenFile(w.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		w.must(err)
		w.out = out
	}
	_, err := fmt.Fprintf(w.out, `{"t":{"$date":"%s"},"id":%d}`+"\n", at(w.written).Format("2006-01-02T15:04:05.000Z07:00"), w.written)
	w.must(err)
	w.written++
}

func (w *writer) next() string {
	w.count++
	w.rotated = append(w.rotated, fmt.Sprintf("%s.%04d", w.path, w.count))
	return w.rotated[len(w.rotated)-1]
}

func (w *writer) rename() {
	if w.out == nil {
		return
	}
	w.must(os.Rename(w.path, w.next()))
	w.must(w.out.Close())
	w.out = nil
}

// copyTruncate loses the lines that are written between the copy and the truncation.
func (w *writer) copyTruncate(lost int) {
	if w.out == nil {
		return
	}
	raw, err := os.ReadFile(w.path)
	w.must(err)
	w.must(os.WriteFile(w.next(), raw, 0o600))
	for range lost {
		w.write()
	}
	w.must(os.Truncate(w.path, 0))
}

func (w *writer) removeOldest() {
	if len(w.rotated) > 0 {
		w.must(os.Remove(w.rotated[0]))
		w.rotated = w.rotated[1:]
	}
}

// reader checks that lines which are not reported as missed follow each other.
type reader struct {
	*rapid.T
	Follower

	last  int // the last line; negative: none that counts
	lines int
	gaps  int // how often lines may have been missed
	// missed is how often lines were reported as missed.
	missed int
}

func (r *reader) take() {
	for more := true; more; {
		result, err := r.Read()
		if err != nil {
			r.Fatal(err)
		}
		if result.Missed || result.Unproven {
			r.last = -1
			r.gaps++
		}
		if result.Missed {
			r.missed++
		}
		for _, line := range result.Lines {
			var n int
			var date string
			if _, err := fmt.Sscanf(string(line), `{"t":{"$date":%q},"id":%d}`, &date, &n); err != nil {
				r.Fatalf("not a whole line: %q", line)
			}
			if r.last >= 0 && n != r.last+1 {
				r.Fatalf("line %d follows %d, and nothing was reported", n, r.last)
			}
			r.last = n
			r.lines++
		}
		more = result.More
	}
}

func rotations(t *rapid.T, check func(*writer, *reader)) {
	folder, err := os.MkdirTemp("", "logfile")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(folder)
	w := &writer{T: t, path: filepath.Join(folder, "mongod[1].log")}
	path := w.path
	if rapid.Bool().Draw(t, "by a link") {
		path = filepath.Join(folder, "link")
		w.must(os.Symlink(w.path, path))
	}
	r := &reader{T: t, Follower: Follower{Path: path}, last: -1}
	w.write()
	r.take()
	r.gaps = 0
	check(w, r)
	_ = r.Close()
	_ = w.out.Close()
}

// TestRotations rotates in every way, removes old files and begins anew in a file of before, in random order: lines are never missed
// without a report.
func TestRotations(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rotations(t, func(w *writer, r *reader) {
			for range rapid.IntRange(1, 40).Draw(t, "steps") {
				switch rapid.SampledFrom([]string{"write", "write", "read", "rename", "copytruncate", "remove", "begin anew"}).Draw(t, "step") {
				case "write":
					w.write()
				case "read":
					r.take()
				case "rename":
					w.rename()
				case "copytruncate":
					w.copyTruncate(rapid.IntRange(0, 2).Draw(t, "lost"))
				case "remove":
					w.removeOldest()
				case "begin anew":
					_ = r.Close()
					r.Follower, r.last = Follower{Path: r.Path}, -1
					if _, err := r.Seek(at(rapid.IntRange(0, w.written).Draw(t, "from"))); err != nil {
						t.Fatal(err)
					}
				}
			}
			w.write()
			r.take()
			if r.last != w.written-1 {
				t.Fatalf("the last line that was read is %d of %d", r.last, w.written)
			}
		})
	})
}

// TestRenames: of a log that is followed, a rotation by rename loses nothing and leaves nothing to doubt.
func TestRenames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rotations(t, func(w *writer, r *reader) {
			for range rapid.IntRange(1, 10).Draw(t, "rotations") {
				for range rapid.IntRange(0, 3).Draw(t, "before") {
					w.write()
				}
				if rapid.Bool().Draw(t, "read before") {
					r.take()
				}
				w.rename()
				if rapid.Bool().Draw(t, "read between") {
					r.take()
				}
				w.write()
				r.take()
			}
			if r.lines != w.written || r.gaps > 0 {
				t.Fatalf("%d of %d lines were read, with %d gaps", r.lines, w.written, r.gaps)
			}
		})
	})
}

// TestCopies: of a log that is followed, a rotation by copytruncate loses no more than what was written between copy and truncation.
func TestCopies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rotations(t, func(w *writer, r *reader) {
			lost, times := 0, rapid.IntRange(1, 5).Draw(t, "rotations")
			for range times {
				for range rapid.IntRange(0, 3).Draw(t, "before") {
					w.write()
				}
				if rapid.Bool().Draw(t, "read before") {
					r.take()
				}
				between := rapid.IntRange(0, 2).Draw(t, "between")
				w.copyTruncate(between)
				lost += between
				if rapid.Bool().Draw(t, "read between") {
					r.take()
				}
				w.write()
				r.take()
			}
			if r.lines != w.written-lost || r.gaps != times || r.missed != times {
				t.Fatalf("%d of %d lines were read, %d are lost; %d gaps, %d reported, after %d rotations", r.lines, w.written, lost, r.gaps, r.missed, times)
			}
		})
	})
}

// TestRotatedTwice: files of before that the server itself wrote leave nothing to doubt, if the file system records when they were created.
func TestRotatedTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mongod.log")
	probe, err := os.Create(path + "-probe")
	if err != nil {
		t.Fatal(err)
	}
	defer probe.Close()
	if born(probe).IsZero() {
		t.Skip("this file system does not record when a file was created")
	}
	write := func(path string, at time.Time) {
		if err := os.WriteFile(path, fmt.Appendf(nil, `{"t":{"$date":%q}}`+"\n", at.UTC().Format("2006-01-02T15:04:05.000Z07:00")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, copied := range map[string]bool{"renamed": false, "copied": true} {
		t.Run(name, func(t *testing.T) {
			first := time.Now()
			if copied {
				first = first.Add(-time.Minute)
			}
			write(path+".1", first)
			write(path+".2", first.Add(10*time.Millisecond))
			write(path, first.Add(20*time.Millisecond))
			f := Follower{Path: path}
			defer f.Close()
			if _, err := f.Seek(first); err != nil {
				t.Fatal(err)
			}
			lines, unproven := 0, false
			for more := true; more; {
				r, err := f.Read()
				if err != nil {
					t.Fatal(err)
				}
				lines, unproven, more = lines+len(r.Lines), unproven || r.Unproven, r.More
			}
			if lines != 3 || unproven != copied {
				t.Errorf("%d lines, unproven %v", lines, unproven)
			}
		})
	}
}

// TestSiblings: the log of another process beside it is no rotated one.
func TestSiblings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mongod.log")
	for _, name := range []string{"", ".1", "-20261126", ".2026-11-26T05-16-50", "-node2", ".other", "-27018", ".27018"} {
		if err := os.WriteFile(path+name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := Follower{Path: path}
	got, err := f.siblings()
	if err != nil || len(got) != 3 {
		t.Errorf("%q, %v", got, err)
	}
}
