// Package snapshot lists the catalog of a running server at a majority-committed
// position, and reverts it to an earlier one.
package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/detector"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/schema"
)

const (
	// progressEvery is how often a long listing logs its progress.
	progressEvery = 2 * time.Second
	// commitPoll is how often a member is polled until a listing is majority-committed, commitTimeout how long: a member that is cut
	// off from the others answers, but does not learn what is committed.
	commitPoll    = 20 * time.Millisecond
	commitTimeout = 30 * time.Second
)

// ErrStateChanged is returned if the member changed its state during the listing: namespaces that
// were listed before may have been rolled back.
var ErrStateChanged = errors.New("the member changed its state while its catalog was listed")

var errNotCommitted = fmt.Errorf("not within %s", commitTimeout)

// Taker takes snapshots of the catalog of one member.
type Taker struct {
	Detector detector.Detector
	Watch    schema.Scope
	// Progress, if not nil, is called after each reply of the member: a large catalog, or a long oplog, takes minutes.
	Progress func()
	Log      *zap.Logger
}

// Snapshot is a member's catalog at one majority-committed position.
type Snapshot struct {
	schema.Listed
	At oplog.Moment
}

// Take lists the whole catalog, or only some selections, in rounds. Each round lists the namespaces with oplog entries since the round
// before began, until none of those that a round listed has an entry during that round. The snapshot's position is that at which the
// last round began: what earlier rounds listed has no entry up to there, whatever changes it later.
func (t Taker) Take(ctx context.Context, m oplog.Member, of ...schema.Selection) (Snapshot, error) {
	before, err := m.State(ctx)
	if err != nil {
		return Snapshot{}, err
	}
	at := before.Majority
	listed, until, err := t.list(ctx, m, at, of)
	if err != nil {
		return Snapshot{}, err
	}
	for last := of; ; {
		if err := committed(ctx, m, until); err != nil {
			return Snapshot{}, err
		}
		touched, err := t.touched(ctx, m, at, until)
		if err != nil {
			return Snapshot{}, err
		}
		if again, _ := stale(listed, touched); !concerns(again, last) {
			break
		}
		if at, touched, err = t.advance(ctx, m, at); err != nil {
			return Snapshot{}, err
		}
		again, kept := stale(listed, touched)
		var fresh schema.Listed
		if fresh, until, err = t.list(ctx, m, at, again); err != nil {
			return Snapshot{}, err
		}
		listed, last = kept.And(fresh), again
	}
	return t.stamp(ctx, m, before, at, listed)
}

// stale returns the selections that must be listed again after entries on some namespaces, and the
// listing without them. If the views of a database could not be listed, an entry on any of its
// namespaces may have made them valid.
func stale(l schema.Listed, touched []schema.Selection) (again []schema.Selection, kept schema.Listed) {
	if l.Of != nil {
		if slices.ContainsFunc(touched, func(s schema.Selection) bool { return overlaps(s, l.Of) }) {
			return l.Of, schema.Listed{Of: l.Of}
		}
		return nil, l
	}
	kept = l
	for _, s := range touched {
		if slices.ContainsFunc(l.Unlisted, func(u schema.Unlisted) bool {
			return u.Namespace == schema.Namespace{Database: s.Namespace.Database}
		}) {
			s = schema.Selection{Namespace: schema.Namespace{Database: s.Namespace.Database}}
		}
		if !slices.Contains(again, s) {
			again = append(again, s)
		}
		kept = kept.Without(s)
	}
	return again, kept
}

// concerns reports whether entries concern what a round listed, which is everything if it has no selections.
func concerns(touched, round []schema.Selection) bool {
	if len(round) == 0 {
		return len(touched) > 0
	}
	return slices.ContainsFunc(touched, func(s schema.Selection) bool { return overlaps(s, round) })
}

// overlaps reports whether an entry on a namespace, or on a whole database, concerns one of
// the selections.
func overlaps(touched schema.Selection, of []schema.Selection) bool {
	return slices.ContainsFunc(of, func(s schema.Selection) bool {
		return touched.Covers(s.Namespace, schema.KindView) || s.Covers(touched.Namespace, schema.KindView)
	})
}

// advance returns the newest position and the namespaces with entries up to it.
func (t Taker) advance(ctx context.Context, m oplog.Member, from oplog.OpTime) (oplog.OpTime, []schema.Selection, error) {
	head, err := m.Head(ctx)
	if err != nil {
		return oplog.OpTime{}, nil, err
	}
	touched, err := t.touched(ctx, m, from, head.TS)
	return head, touched, err
}

// stamp sets the position of the versions, after verifying that none of them was rolled back.
func (t Taker) stamp(ctx context.Context, m oplog.Member, before oplog.State, at oplog.OpTime, listed schema.Listed) (Snapshot, error) {
	after, err := m.State(ctx)
	if err != nil {
		return Snapshot{}, err
	}
	if after.Topology != before.Topology {
		return Snapshot{}, fmt.Errorf("%s: %w", m.Host, ErrStateChanged)
	}
	entry, ok, err := m.At(ctx, at.TS)
	if err != nil {
		return Snapshot{}, err
	}
	s := Snapshot{Listed: listed, At: oplog.Moment{OpTime: at, Wall: at.Time()}}
	if ok {
		s.At.Wall = entry.Wall
	}
	for i := range s.Versions {
		s.Versions[i].OpTime, s.Versions[i].Wall = at, s.At.Wall
	}
	return s, nil
}

// list lists the selections, everything if there are none, and returns the time of the
// last reply.
func (t Taker) list(ctx context.Context, m oplog.Member, at oplog.OpTime, of []schema.Selection) (schema.Listed, bson.Timestamp, error) {
	l, err := NewListing(m, at.TS)
	if err != nil {
		return schema.Listed{}, bson.Timestamp{}, err
	}
	defer l.Close()
	logged := time.Now()
	l.Progress = func(done, total int) {
		t.progressed()
		if time.Since(logged) > progressEvery {
			logged = time.Now()
			t.Log.Info("taking the catalog snapshot", zap.Int("collections", done), zap.Int("of", total))
		}
	}
	listed, err := l.List(ctx, t.Watch, of...)
	return listed, l.Until(), err
}

func (t Taker) progressed() {
	if t.Progress != nil {
		t.Progress()
	}
}

// touched reads the namespaces with entries between two positions, without the first.
func (t Taker) touched(ctx context.Context, m oplog.Member, from oplog.OpTime, until bson.Timestamp) ([]schema.Selection, error) {
	var found []schema.Selection
	seen := map[schema.Namespace]bool{}
	err := t.units(ctx, m, oplog.Start{Position: from}, until, func(u oplog.Unit) {
		for _, ns := range t.Detector.AffectedNamespaces(u) {
			if t.Watch.Includes(ns) && !seen[ns] {
				seen[ns] = true
				found = append(found, schema.Selection{Namespace: ns})
			}
		}
	})
	return found, err
}

// units reads the committed units from a position up to a majority-committed one. Entries that cannot
// be decoded are skipped.
func (t Taker) units(ctx context.Context, m oplog.Member, from oplog.Start, until bson.Timestamp, take func(oplog.Unit)) error {
	reader, err := oplog.Open(ctx, m, from)
	if err != nil {
		return err
	}
	defer reader.Close()
	logged := time.Now()
	for at := from.Position.TS; at.Before(until) || from.Inclusive; {
		batch, err := reader.Next(ctx)
		if err != nil {
			return err
		}
		for unit, err := range batch.Units(ctx) {
			var malformed *oplog.DecodeError
			if errors.As(err, &malformed) || unit.OpTime.TS.After(until) {
				continue
			}
			if err != nil {
				return err
			}
			take(unit)
		}
		at, from.Inclusive = batch.Scanned, false
		t.progressed()
		if time.Since(logged) > progressEvery {
			logged = time.Now()
			t.Log.Info("reading the oplog up to the snapshot", zap.Time("position", time.Unix(int64(at.T), 0).UTC()), zap.Time("until", time.Unix(int64(until.T), 0).UTC()))
		}
	}
	return nil
}

// committed waits until a listing is majority-committed: before that it can contain changes that are
// rolled back.
func committed(ctx context.Context, m oplog.Member, until bson.Timestamp) error {
	ctx, cancel := context.WithTimeoutCause(ctx, commitTimeout, errNotCommitted)
	defer cancel()
	for {
		head, err := m.Head(ctx)
		if err != nil {
			return err
		}
		if !head.TS.Before(until) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the listing of %s to be majority-committed: %w", m.Host, context.Cause(ctx))
		case <-time.After(commitPoll):
		}
	}
}
