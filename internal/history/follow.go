package history

import (
	"context"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/notification"
)

// Follower finds changes that are added to the history. It polls: a standalone sink does not
// support change streams, and a reader may lack the privilege. For one source, changes from the
// oplog, inferred changes and gaps are each added in the order of their _ids, so that the
// newest _id of each kind identifies the position.
type Follower struct {
	reader Reader
	query  Query
	// last is the newest _id seen, by source and kind.
	last map[string]map[notification.IDKind]string
}

// NewFollower starts after all current changes of the history. It ignores Since, Until and
// Limit of the query.
func (r Reader) NewFollower(ctx context.Context, q Query) (*Follower, error) {
	q.Since, q.Until, q.Limit = time.Time{}, time.Time{}, 0
	f := &Follower{reader: r, query: q, last: map[string]map[notification.IDKind]string{}}
	names, err := f.sources(ctx)
	if err != nil {
		return nil, err
	}
	for _, source := range names {
		if f.last[source], err = r.newestIDs(ctx, source); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// sources returns the sources that have written: each has a checkpoint, or had one.
func (f *Follower) sources(ctx context.Context) ([]string, error) {
	if f.query.Source != "" {
		return []string{f.query.Source}, nil
	}
	return f.reader.Sources(ctx)
}

// newestIDs returns the highest _id of each kind, an empty string if there is none.
func (r Reader) newestIDs(ctx context.Context, source string) (map[notification.IDKind]string, error) {
	newest := map[notification.IDKind]string{}
	for _, kind := range kinds() {
		var err error
		if newest[kind], err = r.endID(ctx, bson.D{notification.IDsOfKind(source, kind).Filter()}, backward); err != nil {
			return nil, err
		}
	}
	return newest, nil
}

// Next calls take for every change that was added since the last call.
func (f *Follower) Next(ctx context.Context, take func(Change) error) error {
	names, err := f.sources(ctx)
	if err != nil {
		return err
	}
	var scopes []scope
	newest := map[string]map[notification.IDKind]string{}
	for _, source := range names {
		if newest[source], err = f.reader.newestIDs(ctx, source); err != nil {
			return err
		}
		s, changed := f.added(source, newest[source])
		if !changed {
			continue
		}
		if s.order, err = f.reader.order(ctx, source); err != nil {
			return err
		}
		scopes = append(scopes, s)
	}
	err = f.reader.eachWithActors(ctx, f.query, scopes, take)
	if err == nil {
		f.last = newest
	}
	return err
}

// added returns the scope after the _ids seen last.
func (f *Follower) added(source string, newest map[notification.IDKind]string) (scope, bool) {
	s := scope{source: source, seen: map[notification.IDKind]seen{}}
	changed := false
	for kind, last := range newest {
		s.seen[kind] = seen{after: f.last[source][kind], last: last}
		changed = changed || last > f.last[source][kind]
	}
	return s, changed
}

// Began reports whether a change was in the history when the follower started. Next returns all
// others.
func (f *Follower) Began(c Change) bool {
	source := c.Source()
	for _, kind := range kinds() {
		if kind == notification.IDOplog || strings.HasPrefix(c.ID, prefix(source, kind)) {
			if ids := notification.IDsOfKind(source, kind); c.ID > ids.From && c.ID < ids.To {
				return c.ID <= f.last[source][kind]
			}
		}
	}
	return true
}
