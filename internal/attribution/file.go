package attribution

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/ddltail/ddltail/internal/actor"
	"github.com/ddltail/ddltail/internal/actor/getlog"
	"github.com/ddltail/ddltail/internal/actor/logfile"
	"github.com/ddltail/ddltail/internal/replicaset"
)

const (
	// maxAhead is how many lines a file is read ahead of the oplog: the Log keeps a bounded number.
	maxAhead = 10_000
	// markTimeout is the time after which a mark that was not found in a file is discarded.
	markTimeout = 30 * time.Second
	// markPatience is how long confirm waits for a mark: servers write the log with little delay.
	markPatience = 200 * time.Millisecond
	markPoll     = 5 * time.Millisecond
)

// file is the log of one member at a path. To determine which member it is, ddltail opens a connection to each member with a random
// application name, and searches for that name in the file. The same line proves that everything logged before it has been read.
type file struct {
	path     string
	follower logfile.Follower
	unwrap   actor.Unwrapper
	log      actor.Log
	// host is the member whose log it is; empty if not known.
	host        string
	marks       []mark
	readAt      time.Time // a mark has proved that everything logged before it was read
	confirmedAt time.Time
	unconfirmed bool
	behind      bool // the end was not reached
	err         error
}

// mark is a state of a member and the name of a connection that was opened after it.
type mark struct {
	name     []byte
	host     string
	position int
	state    actor.State
	at       time.Time
}

// open seeks the first line from a time on. It returns the compressed files that contain earlier ones.
func (f *file) open(since time.Time) (logfile.Skipped, error) {
	f.follower = logfile.Follower{Path: f.path}
	skipped, err := f.follower.Seek(since)
	f.missed()
	return skipped, err
}

func (f *file) lines() (*actor.Log, time.Time) { return &f.log, f.readAt }

func (f *file) confirmLater() { f.unconfirmed = true }

func (f *file) works() bool { return f.err == nil }

// isFarAhead reports whether lines are read no further until newer entries are searched for.
func (f *file) isFarAhead(newest time.Time) bool { return f.log.Ahead(newest) >= maxAhead }

func (f *file) missed() {
	f.log.Missed()
	f.unwrap.Resync()
	f.unconfirmed = true
}

// read adds the lines that were written since the last call. It stops when it is far ahead of the newest entry that is searched for.
// It reports whether the follower missed lines.
func (f *file) read(ctx context.Context, newest time.Time) (missed bool, err error) {
	f.behind = true
	for ctx.Err() == nil && !f.isFarAhead(newest) {
		r, err := f.follower.Read()
		if r.Missed || r.Unproven {
			f.missed()
		}
		missed = missed || r.Missed
		for _, raw := range r.Lines {
			line, complete, err := f.unwrap.Line(raw)
			if err != nil {
				f.missed()
			}
			if complete {
				f.add(line)
			}
		}
		if err == nil && f.log.Mixed() {
			err = errMixed
		}
		if err != nil {
			return missed, err
		}
		if !r.More {
			f.behind = false
			break
		}
	}
	return missed, nil
}

func (f *file) add(line []byte) {
	f.log.Add(line)
	if len(f.marks) == 0 || !bytes.Contains(line, []byte(markPrefix)) {
		return
	}
	if id, _ := actor.LineID(line); id != actor.MetadataID {
		return
	}
	at := slices.IndexFunc(f.marks, func(m mark) bool { return bytes.Contains(line, m.name) })
	if at < 0 {
		return
	}
	m := f.marks[at]
	f.host, f.readAt = m.host, m.at
	f.log.Confirm(m.position, m.state)
	f.marks = slices.DeleteFunc(f.marks[at+1:], func(other mark) bool { return other.host != m.host })
}

// confirm reads the state of the member that writes this log, or of all members while it is not known.
func (f *file) confirm(ctx context.Context, members []*member, seeds replicaset.Seeds, newest time.Time) error {
	f.confirmedAt, f.unconfirmed = time.Now(), false
	f.marks = slices.DeleteFunc(f.marks, func(m mark) bool { return time.Since(m.at) > markTimeout })
	var failed error
	for _, m := range members {
		if f.host != "" && m.host != f.host {
			continue
		}
		if err := f.mark(ctx, m, seeds); err != nil {
			failed = err
		}
	}
	began := time.Now()
	for ctx.Err() == nil && len(f.marks) > 0 && time.Since(began) < markPatience {
		if _, err := f.read(ctx, newest); err != nil {
			return err
		}
		if !f.readAt.Before(began) || f.behind {
			break
		}
		time.Sleep(markPoll)
	}
	return failed
}

var errMixed = errors.New("more than one server process writes this log, so that its lines have no actor: let each write its own, then restart ddltail")

const markPrefix = "ddltail log "

func (f *file) mark(ctx context.Context, m *member, seeds replicaset.Seeds) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	position := f.log.Position()
	state, err := getlog.State(ctx, m.client)
	if err != nil {
		return err
	}
	nonce := make([]byte, 12)
	_, _ = rand.Read(nonce) // never fails
	name := markPrefix + hex.EncodeToString(nonce)
	f.marks = append(f.marks, mark{name: []byte(name), host: m.host, position: position, state: state, at: time.Now()})
	return replicaset.Announce(ctx, seeds.Options, m.host, name)
}
