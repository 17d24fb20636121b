package catalog

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
	// progressEvery is how often a long listing says how far it is.
	progressEvery = 2 * time.Second
	// commitPoll is how often a member is asked whether a listing is majority-committed.
	commitPoll = 20 * time.Millisecond
)

// ErrStateChanged says that the member changed its state while it was listed: what was
// listed before may have rolled back since.
var ErrStateChanged = errors.New("the member changed its state while its catalog was listed")

// Baseline takes the catalog of a running server, on one member.
type Baseline struct {
	Detector detector.Detector
	Watch    schema.Scope
	Log      *zap.Logger
}

// Listed is a member's catalog at one majority-committed position.
type Listed struct {
	At       oplog.Moment
	Versions []schema.Version
}

// Take lists all definitions. Namespaces that the oplog says were touched while the
// listing went on are listed again, until a round comes in which nothing happened: all
// of them held at the moment with which that round began.
func (b Baseline) Take(ctx context.Context, m oplog.Member) (Listed, error) {
	before, err := m.State(ctx)
	if err != nil {
		return Listed{}, err
	}
	at := before.Majority
	versions, until, err := b.list(ctx, m, at, nil)
	if err != nil {
		return Listed{}, err
	}
	for {
		if err := committed(ctx, m, until); err != nil {
			return Listed{}, err
		}
		touched, err := b.touched(ctx, m, at, until)
		if err != nil {
			return Listed{}, err
		}
		if len(touched) == 0 {
			break
		}
		if at, touched, err = b.moveOn(ctx, m, at); err != nil {
			return Listed{}, err
		}
		versions = slices.DeleteFunc(versions, func(v schema.Version) bool { return touched.has(v.Namespace) })
		var again []schema.Version
		if again, until, err = b.list(ctx, m, at, touched); err != nil {
			return Listed{}, err
		}
		versions = append(versions, again...)
	}
	return b.stamp(ctx, m, before, at, versions)
}

// moveOn takes the newest moment and all that was touched from the last one up to it.
func (b Baseline) moveOn(ctx context.Context, m oplog.Member, from oplog.OpTime) (oplog.OpTime, namespaces, error) {
	head, err := m.Head(ctx)
	if err != nil {
		return oplog.OpTime{}, nil, err
	}
	touched, err := b.touched(ctx, m, from, head.TS)
	return head, touched, err
}

// stamp dates the versions, once it is sure that nothing of them has rolled back.
func (b Baseline) stamp(ctx context.Context, m oplog.Member, before oplog.State, at oplog.OpTime, versions []schema.Version) (Listed, error) {
	after, err := m.State(ctx)
	if err != nil {
		return Listed{}, err
	}
	if after.Topology != before.Topology {
		return Listed{}, fmt.Errorf("%s: %w", m.Host, ErrStateChanged)
	}
	entry, ok, err := m.At(ctx, at.TS)
	if err != nil {
		return Listed{}, err
	}
	listed := Listed{At: oplog.Moment{OpTime: at, Wall: at.Time()}, Versions: versions}
	if ok {
		listed.At.Wall = entry.Wall
	}
	for i := range versions {
		versions[i].OpTime, versions[i].Wall = at, listed.At.Wall
	}
	return listed, nil
}

// namespaces is a set of them; one without a collection means the whole database.
type namespaces map[schema.Namespace]bool

func (n namespaces) has(ns schema.Namespace) bool {
	return n[ns] || n[schema.Namespace{Database: ns.Database}]
}

// in returns the collections of the set in a database; none means all of them.
func (n namespaces) in(db string) []string {
	var names []string
	for ns := range n {
		if ns.Database == db {
			names = append(names, ns.Collection)
		}
	}
	if n[schema.Namespace{Database: db}] {
		return nil
	}
	return names
}

// databases are those that the set has something of.
func (n namespaces) databases() []string {
	var names []string
	for ns := range n {
		if !slices.Contains(names, ns.Database) {
			names = append(names, ns.Database)
		}
	}
	return names
}

// list lists the namespaces, all of them if only is nil, and gives the time of the
// last reply.
func (b Baseline) list(ctx context.Context, m oplog.Member, at oplog.OpTime, only namespaces) ([]schema.Version, bson.Timestamp, error) {
	l, err := NewListing(m, at.TS)
	if err != nil {
		return nil, bson.Timestamp{}, err
	}
	defer l.Close()
	databases := only.databases()
	if only == nil {
		if databases, err = l.Databases(ctx); err != nil {
			return nil, bson.Timestamp{}, err
		}
	}
	var out []schema.Version
	for _, db := range databases {
		if !b.Watch.Includes(schema.Namespace{Database: db}) {
			continue
		}
		found, err := l.Collections(ctx, db, only.in(db)...)
		if err != nil {
			return nil, bson.Timestamp{}, err
		}
		for _, v := range found {
			if b.Watch.Includes(v.Namespace) {
				out = append(out, v)
			}
		}
	}
	if err := b.indexes(ctx, l, out); err != nil {
		return nil, bson.Timestamp{}, err
	}
	return out, l.Until(), nil
}

func (b Baseline) indexes(ctx context.Context, l *Listing, versions []schema.Version) error {
	spoke := time.Now()
	for i, v := range versions {
		if v.Definition.Kind == schema.KindView {
			continue
		}
		specs, err := l.Indexes(ctx, v.Namespace)
		if err != nil {
			return err
		}
		v.Definition.Indexes = specs
		if time.Since(spoke) > progressEvery {
			spoke = time.Now()
			b.Log.Info("taking the catalog snapshot", zap.Int("collections", i+1), zap.Int("of", len(versions)))
		}
	}
	return nil
}

// touched reads what the oplog says happened between two moments, the first left out.
func (b Baseline) touched(ctx context.Context, m oplog.Member, from oplog.OpTime, until bson.Timestamp) (namespaces, error) {
	found := namespaces{}
	err := units(ctx, m, oplog.Start{Position: from}, until, func(u oplog.Unit) {
		for _, ns := range b.Detector.AffectedNamespaces(u) {
			if b.Watch.Includes(ns) {
				found[ns] = true
			}
		}
	})
	return found, err
}

// units reads what took effect from a position up to a moment that is
// majority-committed. What cannot be decoded is passed over.
func units(ctx context.Context, m oplog.Member, from oplog.Start, until bson.Timestamp, take func(oplog.Unit)) error {
	reader, err := oplog.Open(ctx, m, from)
	if err != nil {
		return err
	}
	defer reader.Close()
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
	}
	return nil
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
func Gone(known *schema.Catalog, listed Listed) []schema.Version {
	found := make(map[schema.Namespace]bool, len(listed.Versions))
	for _, v := range listed.Versions {
		found[v.Namespace] = true
	}
	var out []schema.Version
	for _, v := range known.All() {
		if !found[v.Namespace] {
			out = append(out, schema.Version{Namespace: v.Namespace, OpTime: listed.At.OpTime, Wall: listed.At.Wall})
		}
	}
	return out
}
