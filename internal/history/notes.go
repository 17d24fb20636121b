package history

import (
	"context"
	"fmt"
	"time"
)

// ListNotes returns notes on where a list of changes may be incomplete: before the recording of
// a source began, before the age at which changes are removed, and after the position up to
// which its oplog was read.
func (r Reader) ListNotes(ctx context.Context, q Query, names []string, now time.Time) ([]string, error) {
	var notes []string
	for _, source := range names {
		b, err := r.bounds(ctx, source)
		if err != nil {
			return nil, err
		}
		notes = append(notes, b.listNotes(source, q, now)...)
	}
	return notes, nil
}

func (b bounds) listNotes(source string, q Query, now time.Time) []string {
	var notes []string
	until := q.Until
	if until.IsZero() || until.After(now) {
		until = now
	}
	switch {
	case b.position.IsZero():
		notes = append(notes, fmt.Sprintf("%s has no checkpoint: how far its oplog was read is not known", source))
	case until.After(b.position.Add(staleAfter)):
		notes = append(notes, fmt.Sprintf("the oplog of %s has been read only up to %s: later changes are not known", source, stamp(b.position)))
	}
	early := func(at time.Time) bool { return !at.IsZero() && at.Before(b.baseline) }
	if early(q.Since) || early(q.Until) {
		notes = append(notes, fmt.Sprintf("the recording of %s began at %s: earlier changes are not known", source, stamp(b.baseline)))
	}
	if q.Limit == 0 && q.Since.Before(b.horizon) {
		notes = append(notes, fmt.Sprintf("history of %s before %s has been removed because of its age", source, stamp(b.horizon)))
	}
	return notes
}
