package history

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/catalog"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/schema"
	"github.com/ddltail/ddltail/internal/store"
)

// staleAfter is how far the position may be behind the requested time before a note says so:
// on a quiet set it is saved at most once in 10 s.
const staleAfter = time.Minute

// Standing is the definition of one namespace at a time.
type Standing struct {
	Source  string
	Version schema.Version
	// Inferred is the interval of the change, if it was not read from the oplog.
	Inferred Interval
}

func (r Reader) versions() catalog.Reader { return catalog.NewReader(r.db.Collection(store.Catalog)) }

// AsOf selects the schema of one source at a time.
type AsOf struct {
	Source string
	At     time.Time
	// Namespaces are globs in the syntax of notification.Rules, none for all.
	Namespaces []string
}

func (a AsOf) moment(end catalog.End) catalog.Moment {
	m := catalog.Moment{At: a.At, End: end, Source: a.Source}
	include, exclude := notification.Globs(a.Namespaces)
	condition := bson.D{}
	if len(include) > 0 {
		condition = append(condition, bson.E{Key: "$in", Value: globFilters(include)})
	}
	if len(exclude) > 0 {
		condition = append(condition, bson.E{Key: "$nin", Value: globFilters(exclude)})
	}
	if len(condition) > 0 {
		m.Namespaces = condition
	}
	return m
}

// EachAsOf calls take for every namespace that existed at a time, in the order of their names,
// and returns notes on the result.
func (r Reader) EachAsOf(ctx context.Context, a AsOf, take func(Standing) error) (notes []string, err error) {
	end, err := r.versions().End(ctx, a.Source, a.At)
	if err != nil {
		return nil, err
	}
	ids, err := r.versions().Standing(ctx, a.moment(end))
	if err != nil {
		return nil, err
	}
	inf, err := r.inference(ctx, a.Source, a.At)
	if err != nil {
		return nil, err
	}
	touched := spans{}
	err = r.versions().Fetch(ctx, ids, func(v schema.Version) error {
		if v.Definition == nil || v.Definition.Temporary {
			return nil
		}
		s := Standing{Source: a.Source, Version: v, Inferred: inf.of(v)}
		touched.add(s.Inferred)
		return take(s)
	})
	if err != nil {
		return nil, err
	}
	b, err := r.boundsAt(ctx, a, end)
	if err != nil {
		return nil, err
	}
	for _, span := range touched.list {
		notes = append(notes, "~ "+span.words("changed at an unknown time")+": inferred from a comparison")
	}
	return append(b.notes(a, inf), notes...), nil
}

// Schema returns all definitions at a time, and notes on the result.
func (r Reader) Schema(ctx context.Context, a AsOf) (schema.Definitions, []string, error) {
	s := schema.Definitions{}
	notes, err := r.EachAsOf(ctx, a, func(st Standing) error {
		s[st.Version.Namespace] = *st.Version.Definition
		return nil
	})
	return s, notes, err
}

// CompleteSchema is like [Reader.Schema], but returns an error if the schema at that time is not completely known.
func (r Reader) CompleteSchema(ctx context.Context, a AsOf) (schema.Definitions, []string, error) {
	if err := r.Require(ctx, store.Catalog); err != nil {
		return nil, nil, err
	}
	b, err := r.bounds(ctx, a.Source)
	if err != nil {
		return nil, nil, err
	}
	if reason := b.incomplete(a.At); reason != "" {
		return nil, nil, fmt.Errorf("the schema of %s at %s is not known: %s", a.Source, stamp(a.At), reason)
	}
	return r.Schema(ctx, a)
}

// incomplete returns why the schema at a time is not completely known; empty if it is.
func (b bounds) incomplete(at time.Time) string {
	switch {
	case b.baseline.IsZero():
		return "the catalog has not been listed completely; wait for the snapshot of ddltail run"
	case at.Before(b.baseline):
		return fmt.Sprintf("the catalog was first listed at %s; choose that time or a later one", stamp(b.baseline))
	case at.Before(b.horizon):
		return fmt.Sprintf("history before %s has been removed because of its age; choose that time or a later one", stamp(b.horizon))
	}
	return ""
}

// notes returns the limits of the result for a time.
func (b bounds) notes(a AsOf, inf inference) []string {
	var notes []string
	at := a.At
	switch {
	case b.baseline.IsZero():
		notes = append(notes, fmt.Sprintf("the catalog of %s has not been listed completely: objects that never changed are not known", a.Source))
	case at.Before(b.baseline):
		notes = append(notes, fmt.Sprintf("the catalog was first listed at %s: for a time before that, only recorded changes are known", stamp(b.baseline)))
	case at.Before(b.baseline.Add(time.Second)):
		notes = append(notes, fmt.Sprintf("the catalog was first listed within the second %s, which includes this time", stamp(b.baseline)))
	}
	if at.Before(b.horizon) {
		notes = append(notes, fmt.Sprintf("history before %s has been removed because of its age: earlier changes and drops are not known", stamp(b.horizon)))
	}
	if !b.position.IsZero() && at.After(b.position.Add(staleAfter)) {
		notes = append(notes, fmt.Sprintf("the oplog has been read only up to %s: later changes are not known", stamp(b.position)))
	}
	if b.setBack {
		notes = append(notes, fmt.Sprintf("the clock of %s was set back: this is the schema before the first change, in oplog order, later than %s; "+
			"later changes in the oplog with earlier times are not included", a.Source, stamp(at)))
	}
	for _, span := range inf.lost(at) {
		notes = append(notes, "HISTORY GAP: "+span.words("the history is lost")+"; this is the schema as last known before it")
	}
	return notes
}

func (i Interval) words(what string) string {
	return fmt.Sprintf("between %s and %s %s", stamp(i.From), stamp(i.To), what)
}

// spans collects distinct intervals.
type spans struct{ list []Interval }

func (s *spans) add(i Interval) {
	if i.IsZero() {
		return
	}
	for _, have := range s.list {
		if have == i {
			return
		}
	}
	s.list = append(s.list, i)
}
