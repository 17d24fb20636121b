package history

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/actor"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/store"
	"github.com/ddltail/ddltail/internal/terminal"
)

// joinBatch is how many changes are read before their actors are looked up.
const joinBatch = 200

// joiner adds to changes the actors that were found after the changes were written, and forwards the changes that match the query's
// actor filters.
type joiner struct {
	reader Reader
	query  Query
	yield  func(Change) error
	// waiting are changes, in order, whose actors have not been looked up.
	waiting []Change
}

// eachWithActors calls yield for every selected change of the scopes, with its actor.
func (r Reader) eachWithActors(ctx context.Context, q Query, scopes []scope, yield func(Change) error) error {
	j := &joiner{reader: r, query: q, yield: yield}
	err := r.each(ctx, q, scopes, forward, func(_ scope, s *stream) (bool, error) {
		c, err := decodeChange(s.raw)
		if err != nil {
			return false, err
		}
		return true, j.add(ctx, c)
	})
	if err != nil {
		return err
	}
	return j.flush(ctx)
}

func (j *joiner) add(ctx context.Context, c Change) error {
	j.waiting = append(j.waiting, c)
	if len(j.waiting) < joinBatch {
		return nil
	}
	return j.flush(ctx)
}

func (j *joiner) flush(ctx context.Context) error {
	changes, err := j.reader.withActors(ctx, j.waiting)
	j.waiting = nil
	if err != nil {
		return err
	}
	for _, c := range changes {
		if j.query.byActor() && !j.query.Filter.Includes(c.Raw) {
			continue
		}
		if err := j.yield(c); err != nil {
			return err
		}
	}
	return nil
}

// withActors adds the actors that were found late to the changes that have none.
func (r Reader) withActors(ctx context.Context, changes []Change) ([]Change, error) {
	var ids []string
	for _, c := range changes {
		if c.Actor.IsZero() {
			ids = append(ids, c.ID)
		}
	}
	late, err := store.LateActors(ctx, r.db, ids)
	if err != nil || len(late) == 0 {
		return changes, err
	}
	for i, c := range changes {
		if raw, ok := late[c.ID]; ok {
			if changes[i], err = c.withActor(raw); err != nil {
				return nil, err
			}
		}
	}
	return changes, nil
}

// withActor returns the change with an actor, which it adds to the document, too.
func (c Change) withActor(raw bson.Raw) (Change, error) {
	var doc bson.D
	if err := bson.Unmarshal(c.Raw, &doc); err != nil {
		return c, fmt.Errorf("decode the change %s: %w", c.ID, err)
	}
	whole, err := bson.Marshal(append(doc, bson.E{Key: store.FieldActor, Value: raw}))
	if err != nil {
		return c, fmt.Errorf("add the actor to the change %s: %w", c.ID, err)
	}
	return decodeChange(whole)
}

// actorCondition is the server-side prefilter of the query's actor filters. It also selects changes without an actor, whose actor may
// be stored in another collection.
func (q Query) actorCondition() bson.D {
	condition := bson.D{}
	for _, by := range []struct{ items, fields []string }{{q.Users, []string{"actor.user", "actor.users"}}, {q.Apps, []string{"actor.app"}}} {
		include, _ := notification.Globs(by.items)
		if len(include) == 0 {
			continue
		}
		ways := bson.A{
			bson.D{{Key: store.FieldActor, Value: bson.D{{Key: "$exists", Value: false}}}},
			bson.D{{Key: "operation", Value: bson.D{{Key: "$in", Value: bson.A{string(notification.HistoryGap), string(notification.UnknownCommand)}}}}},
		}
		for _, field := range by.fields {
			ways = append(ways, bson.D{{Key: field, Value: anyOf(globFilters(include))}})
		}
		condition = append(condition, bson.E{Key: "$or", Value: ways})
	}
	return condition
}

// byActor reports whether the query selects by actors.
func (q Query) byActor() bool { return len(q.Users) > 0 || len(q.Apps) > 0 }

// newestByActor is Each with the limit applied after the actor filters, because the actors are known only after the changes were read.
func (r Reader) newestByActor(ctx context.Context, q Query, yield func(Change) error) (Extent, error) {
	limit := q.Limit
	q.Limit = 0
	var newest []Change
	limited := false
	extent, err := r.Each(ctx, q, func(c Change) error {
		if newest = append(newest, c); len(newest) > 2*limit {
			limited = true
			newest = slices.Clone(newest[len(newest)-limit:])
		}
		return nil
	})
	if err != nil {
		return extent, err
	}
	if excess := len(newest) - limit; excess > 0 {
		limited = true
		newest = newest[excess:]
	}
	extent.Limited = limited
	for _, c := range newest {
		if err := yield(c); err != nil {
			return extent, err
		}
	}
	return extent, nil
}

// ActorText is the actor in human-readable form: the user, and the application in parentheses; empty if no actor is known.
func (c Change) ActorText() string {
	text := actorName(c.Actor)
	if !c.Actor.IsZero() && !c.Actor.Exact {
		text += "?"
	}
	if c.Actor.App != "" {
		text += " (" + c.Actor.App + ")"
	}
	return terminal.Escape(strings.TrimSpace(text))
}

// exactText is empty if no actor is known.
func exactText(a actor.Actor) string {
	if a.IsZero() {
		return ""
	}
	return strconv.FormatBool(a.Exact)
}

// details is the actor in full, in human-readable form.
func (c Change) details() string {
	if c.Actor.IsZero() {
		return ""
	}
	parts := []string{actorName(c.Actor)}
	if parts[0] == "" {
		parts[0] = "no user"
	}
	for _, part := range []struct{ name, value string }{
		{"application", c.Actor.App}, {"driver", c.Actor.Driver}, {"client", c.Actor.Client}, {"mechanism", c.Actor.Mechanism}, {"via", c.Actor.Via},
		{"evidence", string(c.Actor.Evidence)},
	} {
		if part.value != "" {
			parts = append(parts, part.name+" "+part.value)
		}
	}
	if !c.Actor.Exact {
		parts = append(parts, "matched by name and time only; may be wrong")
	}
	return terminal.Escape(strings.Join(parts, ", "))
}

func actorName(a actor.Actor) string {
	switch {
	case a.User != "":
		return a.User
	case len(a.Users) > 0:
		return strings.Join(a.Users, " or ")
	case a.Internal:
		return "the server"
	}
	return ""
}
