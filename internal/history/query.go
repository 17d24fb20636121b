package history

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/store"
)

// Query selects changes; the zero value selects all.
type Query struct {
	// Namespaces are globs on "database.collection" in the syntax of notification.Rules.
	Namespaces []string
	// Filter selects by operation, risk, user and application; its rule on namespaces does not apply.
	Filter notification.Filter
	// Users and Apps are the items of Filter by user and application.
	Users, Apps []string
	Source      string
	// Since and Until are inclusive; zero for no bound. The result ends before the first change,
	// in oplog order, that is later than Until.
	Since, Until time.Time
	// Limit bounds the result to the newest changes; 0 for no limit.
	Limit int
}

// Reader reads the audit of one database.
type Reader struct {
	db *mongo.Database
}

// NewReader reads ddltail's own collections in db.
func NewReader(db *mongo.Database) Reader { return Reader{db: db} }

func (r Reader) changes() *mongo.Collection { return r.db.Collection(store.History) }

// Extent describes what a list covers.
type Extent struct {
	// Limited is true if older changes were omitted because of the limit.
	Limited bool
	// Notes name the sources for which the list ends early because a clock was set back.
	Notes []string
}

// Each calls take for every selected change, each source in oplog order. HISTORY_GAP and
// UNKNOWN_COMMAND are selected with any namespace and operation. Memory does not grow with the
// number of changes.
func (r Reader) Each(ctx context.Context, q Query, take func(Change) error) (Extent, error) {
	if q.Limit > 0 && q.byActor() {
		return r.newestByActor(ctx, q, take)
	}
	var extent Extent
	scopes, err := r.scopes(ctx, q, &extent)
	if err != nil {
		return extent, err
	}
	if q.Limit > 0 {
		if scopes, extent.Limited, err = r.newest(ctx, q, scopes); err != nil {
			return extent, err
		}
	}
	return extent, r.eachWithActors(ctx, q, scopes, take)
}

// scopes returns the scope of a query in each source.
func (r Reader) scopes(ctx context.Context, q Query, extent *Extent) ([]scope, error) {
	names := []string{q.Source}
	if q.Source == "" {
		var err error
		if names, err = r.Sources(ctx); err != nil {
			return nil, err
		}
	}
	var scopes []scope
	for _, source := range names {
		s, err := r.scope(ctx, q, source, extent)
		if err != nil {
			return nil, err
		}
		scopes = append(scopes, s)
	}
	return scopes, nil
}

func (r Reader) scope(ctx context.Context, q Query, source string, extent *Extent) (scope, error) {
	s := scope{source: source}
	var err error
	if s.order, err = r.order(ctx, source); err != nil {
		return s, err
	}
	if !q.Since.IsZero() {
		if s.from, err = r.first(ctx, s, q.since()...); err != nil {
			return s, err
		}
		if s.from == nil {
			s.before = &place{}
			return s, nil
		}
	}
	if q.Until.IsZero() {
		return s, nil
	}
	// Without a lower bound: a change before it can also be later than Until.
	whole := scope{source: source, order: s.order}
	if s.before, err = r.first(ctx, whole, timestamp("$gt", q.Until)); err != nil || s.before == nil {
		return s, err
	}
	whole.from = s.before
	earlier, err := r.first(ctx, whole, append(bson.D{timestamp("$lte", q.Until)}, q.since()...)...)
	if err == nil && earlier != nil {
		extent.Notes = append(extent.Notes, setBack(source, *s.before, q.Until))
	}
	return s, err
}

// setBack notes that a result ends before changes whose time is in the requested range.
func setBack(source string, p place, until time.Time) string {
	return fmt.Sprintf("the clock of %s was set back: the result ends at the oplog position %d:%d, where the first change later than %s is; "+
		"later changes in the oplog with earlier times are not included", source, p.ts.T, p.ts.I, stamp(until))
}

// newest narrows scopes to the newest changes, up to the limit, and reports whether there are
// older ones.
func (r Reader) newest(ctx context.Context, q Query, scopes []scope) ([]scope, bool, error) {
	number, limited := 0, false
	begin := map[string]place{}
	err := r.each(ctx, q, scopes, backward, func(s scope, st *stream) (bool, error) {
		if number++; number > q.Limit {
			limited = true
			return false, nil
		}
		begin[s.source] = st.at
		return true, nil
	})
	if err != nil || !limited {
		return scopes, false, err
	}
	var narrowed []scope
	for _, s := range scopes {
		if from, ok := begin[s.source]; ok {
			s.from = &from
			narrowed = append(narrowed, s)
		}
	}
	return narrowed, true, nil
}

// since selects by the lower bound in time.
func (q Query) since() bson.D {
	if q.Since.IsZero() {
		return bson.D{}
	}
	return bson.D{timestamp("$gte", q.Since)}
}

func timestamp(operator string, at time.Time) bson.E {
	return bson.E{Key: "timestamp", Value: bson.D{{Key: operator, Value: seconds(at)}}}
}

// seconds returns a time in the form of the field timestamp. Fractions of a millisecond are
// significant: a change in the millisecond before a time is not at or after it.
func seconds(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

// ofSource selects by the first part of every _id.
func ofSource(source string) bson.E { return notification.AllIDs(source).Filter() }
