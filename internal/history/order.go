package history

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/internal/notification"
)

// place is the position of a change in the oplog of its source. Changes are not ordered by wall
// time: the clock of a primary can be set back.
type place struct {
	ts      bson.Timestamp
	stage   stage
	ordinal int
}

// stage orders changes with the same oplog timestamp.
type stage int

const (
	// stageGap and stageGapChanges come before the first entry after a gap.
	stageGap stage = iota
	stageGapChanges
	stageEntry
	// stageComparison comes after the newest entry that the comparison includes.
	stageComparison
)

func (p place) compare(other place) int {
	return cmp.Or(
		p.ts.Compare(other.ts),
		cmp.Compare(p.stage, other.stage),
		cmp.Compare(p.ordinal, other.ordinal),
	)
}

// oplogOrder determines the order of one source's changes. Their _ids are not sufficient: gaps
// and inferred changes sort after all others.
type oplogOrder struct {
	// gaps holds the timestamps at which gaps end.
	gaps map[bson.Timestamp]bool
}

func (o oplogOrder) place(id notification.ID) place {
	p := place{ts: id.TS, ordinal: id.Ordinal, stage: stageEntry}
	switch {
	case id.Kind == notification.IDGap:
		p.stage = stageGap
	case id.Kind == notification.IDSnapshot && o.gaps[id.TS]:
		p.stage = stageGapChanges
	case id.Kind == notification.IDSnapshot:
		p.stage = stageComparison
	}
	return p
}

// order reads the gaps, on which the order of a source's changes depends.
func (r Reader) order(ctx context.Context, source string) (oplogOrder, error) {
	o := oplogOrder{gaps: map[bson.Timestamp]bool{}}
	cur, err := r.changes().Find(ctx, bson.D{notification.IDsOfKind(source, notification.IDGap).Filter()},
		options.Find().SetProjection(bson.D{{Key: "_id", Value: 1}}))
	if err != nil {
		return o, fmt.Errorf("read the gaps: %w", err)
	}
	defer cur.Close(context.WithoutCancel(ctx))
	for cur.Next(ctx) {
		text, _ := cur.Current.Lookup("_id").StringValueOK()
		if id, err := notification.ParseID(text); err == nil {
			o.gaps[id.TS] = true
		}
	}
	if err := cur.Err(); err != nil {
		return o, fmt.Errorf("read the gaps: %w", err)
	}
	return o, nil
}

func kinds() []notification.IDKind {
	return []notification.IDKind{notification.IDOplog, notification.IDGap, notification.IDSnapshot}
}

// boundary returns the string that separates the _ids of a kind: those of changes at or after
// the place are at or above it, all others below.
func (o oplogOrder) boundary(source string, kind notification.IDKind, p place) string {
	at := prefix(source, kind) + notification.Place(p.ts)
	own := o.place(notification.ID{Kind: kind, TS: p.ts}).stage
	switch {
	case p.stage > own:
		// Digits and the colon sort before the tilde.
		return at + "~"
	case p.stage == own && kind != notification.IDGap:
		return fmt.Sprintf("%s:%06d", at, p.ordinal)
	}
	return at
}

func prefix(source string, kind notification.IDKind) string {
	if kind == notification.IDOplog {
		return source + ":"
	}
	return source + ":" + string(kind) + ":"
}

// parse parses an _id of a known source, which can have the name of a kind, as gap.
func parse(id, source string) (notification.ID, error) {
	parsed, err := notification.ParseID("source" + strings.TrimPrefix(id, source))
	if err != nil {
		return parsed, fmt.Errorf("read the _id %q of the history: %w", id, err)
	}
	return parsed, nil
}

// first returns the place of the first change of a scope, in oplog order, that matches the
// conditions; nil if there is none.
func (r Reader) first(ctx context.Context, s scope, conditions ...bson.E) (*place, error) {
	var first *place
	for _, kind := range kinds() {
		id, err := r.endID(ctx, append(bson.D{s.filter(kind)}, conditions...), forward)
		if err != nil {
			return nil, err
		}
		if id == "" {
			continue
		}
		parsed, err := parse(id, s.source)
		if err != nil {
			return nil, err
		}
		if p := s.order.place(parsed); first == nil || p.compare(*first) < 0 {
			first = &p
		}
	}
	return first, nil
}

// endID returns the first _id that matches a filter in a direction; an empty string if there is
// none.
func (r Reader) endID(ctx context.Context, filter bson.D, towards direction) (string, error) {
	cur, err := r.changes().Find(ctx, filter, options.Find().SetSort(bson.D{{Key: "_id", Value: int(towards)}}).SetLimit(1).
		SetProjection(bson.D{{Key: "_id", Value: 1}}))
	if err != nil {
		return "", fmt.Errorf("read the history: %w", err)
	}
	var found []struct {
		ID string `bson:"_id"`
	}
	if err := cur.All(ctx, &found); err != nil {
		return "", fmt.Errorf("read the history: %w", err)
	}
	if len(found) == 0 {
		return "", nil
	}
	return found[0].ID, nil
}
