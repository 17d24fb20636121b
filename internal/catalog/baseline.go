package catalog

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/detector"
	"github.com/ddltail/ddltail/internal/oplog"
)

const (
	// progressEvery is how often a long listing says how far it is.
	progressEvery = 5 * time.Second
	// commitPoll is how often a member is asked whether a listing is majority-committed.
	commitPoll = 20 * time.Millisecond
)

// Baseline takes the catalog of a running server, on one member.
type Baseline struct {
	Detector detector.Detector
	Watch    detector.Watch
	Log      *zap.Logger
}

// Take lists all definitions. Each comes with the moment at which it held: the
// beginning of the listing, or, where the oplog says that something happened
// meanwhile, that of a second look. The moment returned is the first of them.
func (b Baseline) Take(ctx context.Context, m oplog.Member) ([]detector.Version, oplog.OpTime, error) {
	begin, err := m.Head(ctx)
	if err != nil {
		return nil, oplog.OpTime{}, err
	}
	versions, until, err := b.list(ctx, m, begin, nil)
	if err != nil {
		return nil, oplog.OpTime{}, err
	}
	at := begin
	for {
		touched, err := b.touched(ctx, m, at, until)
		if err != nil {
			return nil, oplog.OpTime{}, err
		}
		if len(touched) == 0 {
			return versions, begin, nil
		}
		versions = slices.DeleteFunc(versions, func(v detector.Version) bool { return v.OpTime == at && touched.has(v.Namespace) })
		if at, err = m.Head(ctx); err != nil {
			return nil, oplog.OpTime{}, err
		}
		again, next, err := b.list(ctx, m, at, touched)
		if err != nil {
			return nil, oplog.OpTime{}, err
		}
		versions, until = append(versions, again...), next
	}
}

// namespaces is a set of them; one without a collection stands for a database.
type namespaces map[detector.Namespace]bool

func (n namespaces) has(ns detector.Namespace) bool {
	return n[ns] || n[detector.Namespace{Database: ns.Database}]
}

// list lists the namespaces, all of them if only is nil, and gives the time of the
// last reply.
func (b Baseline) list(ctx context.Context, m oplog.Member, at oplog.OpTime, only namespaces) ([]detector.Version, bson.Timestamp, error) {
	l, err := NewListing(m, at.TS)
	if err != nil {
		return nil, bson.Timestamp{}, err
	}
	defer l.Close()
	databases, err := l.Databases(ctx)
	if err != nil {
		return nil, bson.Timestamp{}, err
	}
	var out []detector.Version
	for _, db := range databases {
		if !b.Watch.Follows(detector.Namespace{Database: db}) {
			continue
		}
		found, err := l.Collections(ctx, db)
		if err != nil {
			return nil, bson.Timestamp{}, err
		}
		for _, v := range found {
			if b.Watch.Follows(v.Namespace) && (only == nil || only.has(v.Namespace)) {
				v.OpTime, v.Wall = at, at.Time()
				out = append(out, v)
			}
		}
	}
	if err := b.indexes(ctx, l, out); err != nil {
		return nil, bson.Timestamp{}, err
	}
	return append(out, missing(out, only, at)...), l.Until(), nil
}

func (b Baseline) indexes(ctx context.Context, l *Listing, versions []detector.Version) error {
	spoke := time.Now()
	for i, v := range versions {
		if v.Definition.Kind == detector.KindView {
			continue
		}
		specs, err := l.Indexes(ctx, v.Namespace)
		if err != nil {
			return err
		}
		v.Definition.Indexes = specs
		if time.Since(spoke) > progressEvery {
			spoke = time.Now()
			b.Log.Info("taking the catalog", zap.Int("collections", i+1), zap.Int("of", len(versions)))
		}
	}
	return nil
}

// missing are the namespaces looked for and not found: they were dropped.
func missing(found []detector.Version, only namespaces, at oplog.OpTime) []detector.Version {
	var out []detector.Version
	for ns := range only {
		there := slices.ContainsFunc(found, func(v detector.Version) bool { return v.Namespace == ns })
		if ns.Collection != "" && !there {
			out = append(out, detector.Version{Namespace: ns, OpTime: at, Wall: at.Time()})
		}
	}
	return out
}

// touched reads what the oplog says happened between two moments, once the later
// one is majority-committed.
func (b Baseline) touched(ctx context.Context, m oplog.Member, from oplog.OpTime, until bson.Timestamp) (namespaces, error) {
	if err := committed(ctx, m, until); err != nil {
		return nil, err
	}
	reader, err := oplog.Open(ctx, m, oplog.Start{Position: from})
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	found := namespaces{}
	for at := from.TS; at.Before(until); {
		batch, err := reader.Next(ctx)
		if err != nil {
			return nil, err
		}
		for _, raw := range batch.Entries {
			e, err := oplog.Decode(raw)
			if err != nil || e.OpTime.TS.After(until) {
				continue
			}
			unit, err := oplog.Assemble(ctx, e, m)
			if err != nil {
				return nil, err
			}
			for _, ns := range b.Detector.Touched(unit) {
				if b.Watch.Follows(ns) {
					found[ns] = true
				}
			}
		}
		at = batch.Scanned
	}
	return found, nil
}

// committed waits until a majority has what was listed: a listing can hold what
// rolls back.
func committed(ctx context.Context, m oplog.Member, until bson.Timestamp) error {
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
			return fmt.Errorf("wait for the listing of %s to be majority-committed: %w", m.Host, ctx.Err())
		case <-time.After(commitPoll):
		}
	}
}

// Gone are the namespaces that were known and that a listing did not find.
func Gone(known *detector.Catalog, listed []detector.Version, at oplog.OpTime) []detector.Version {
	found := make(map[detector.Namespace]bool, len(listed))
	for _, v := range listed {
		found[v.Namespace] = true
	}
	var out []detector.Version
	for _, v := range known.All() {
		if !found[v.Namespace] {
			out = append(out, detector.Version{Namespace: v.Namespace, OpTime: at, Wall: at.Time()})
		}
	}
	return out
}
