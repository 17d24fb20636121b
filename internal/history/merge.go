package history

import (
	"context"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/internal/notification"
)

// batchSize keeps the documents that are read ahead few.
const batchSize = 1000

// direction is the order in which changes are read: oldest first, or newest first.
type direction int

const (
	forward  direction = 1
	backward direction = -1
)

// scope is the range that is read from one source.
type scope struct {
	source string
	order  oplogOrder
	// from is inclusive, before exclusive; nil means unbounded.
	from, before *place
	// seen bounds the _ids of each kind; without it they have no further bound.
	seen map[notification.IDKind]seen
}

// seen are the _ids of one kind after one _id, up to another.
type seen struct{ after, last string }

// filter selects the _ids of a kind that are in the scope.
func (s scope) filter(kind notification.IDKind) bson.E {
	ids := notification.IDsOfKind(s.source, kind)
	from, to := ids.From, ids.To
	if s.from != nil {
		from = s.order.boundary(s.source, kind, *s.from)
	}
	if s.before != nil {
		to = s.order.boundary(s.source, kind, *s.before)
	}
	bounds := bson.D{{Key: "$gte", Value: from}, {Key: "$lt", Value: to}}
	if new, ok := s.seen[kind]; ok {
		bounds = append(bounds, bson.E{Key: "$gt", Value: new.after}, bson.E{Key: "$lte", Value: new.last})
	}
	return bson.E{Key: "_id", Value: bounds}
}

// stream reads one selection of one kind of _ids, in their order.
type stream struct {
	cur   *mongo.Cursor
	scope scope
	// raw is the current document, valid until the next advance; nil at the end.
	raw bson.Raw
	id  string
	at  place
}

func (s *stream) advance(ctx context.Context) error {
	if s.cur.Next(ctx) {
		text, _ := s.cur.Current.Lookup("_id").StringValueOK()
		id, err := parse(text, s.scope.source)
		if err != nil {
			return err
		}
		s.raw, s.id, s.at = s.cur.Current, text, s.scope.order.place(id)
		return nil
	}
	s.raw = nil
	if err := s.cur.Err(); err != nil {
		return fmt.Errorf("read the history: %w", err)
	}
	return nil
}

// merge reads the changes of one source in oplog order, each once.
type merge struct {
	streams []*stream
	towards direction
}

func (m *merge) close(ctx context.Context) {
	for _, s := range m.streams {
		s.cur.Close(context.WithoutCancel(ctx))
	}
}

// head returns the stream whose document is next, nil at the end.
func (m *merge) head() *stream {
	var head *stream
	for _, s := range m.streams {
		if s.raw != nil && (head == nil || s.at.compare(head.at)*int(m.towards) < 0) {
			head = s
		}
	}
	return head
}

// advance moves past the current document, in every stream that has it.
func (m *merge) advance(ctx context.Context) error {
	id := m.head().id
	for _, s := range m.streams {
		if s.raw != nil && s.id == id {
			if err := s.advance(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// open opens the streams of a query in a scope.
func (r Reader) open(ctx context.Context, q Query, s scope, towards direction) (*merge, error) {
	m := &merge{towards: towards}
	for _, kind := range kinds() {
		for _, filter := range q.filters(kind) {
			opts := options.Find().SetSort(bson.D{{Key: "_id", Value: int(towards)}}).SetBatchSize(batchSize).SetAllowDiskUse(true)
			if len(filter) == 0 {
				opts.SetHint(bson.D{{Key: "_id", Value: 1}})
			}
			if towards == backward {
				opts.SetLimit(int64(q.Limit) + 1).SetProjection(bson.D{{Key: "timestamp", Value: 1}})
			}
			cur, err := r.changes().Find(ctx, slices.Concat(bson.D{s.filter(kind)}, filter, q.since()), opts)
			if err != nil {
				m.close(ctx)
				return nil, fmt.Errorf("read the history: %w", err)
			}
			st := &stream{cur: cur, scope: s}
			m.streams = append(m.streams, st)
			if err := st.advance(ctx); err != nil {
				m.close(ctx)
				return nil, err
			}
		}
	}
	return m, nil
}

// sources reads several sources at once. Each keeps its order. Between sources, whose oplogs
// have no common order, the change with the earliest time comes first.
type sources []*merge

func (all sources) close(ctx context.Context) {
	for _, m := range all {
		m.close(ctx)
	}
}

// next returns the merge whose document is next, nil at the end.
func (all sources) next(towards direction) *merge {
	var next *merge
	var earliest float64
	for _, m := range all {
		head := m.head()
		if head == nil {
			continue
		}
		at, _ := head.raw.Lookup("timestamp").AsFloat64OK()
		if next == nil || (at-earliest)*float64(towards) < 0 {
			next, earliest = m, at
		}
	}
	return next
}

// each calls take for every selected change of the scopes, until it returns false.
func (r Reader) each(ctx context.Context, q Query, scopes []scope, towards direction, take func(scope, *stream) (bool, error)) error {
	var all sources
	defer func() { all.close(ctx) }()
	for _, s := range scopes {
		m, err := r.open(ctx, q, s, towards)
		if err != nil {
			return err
		}
		all = append(all, m)
	}
	for m := all.next(towards); m != nil; m = all.next(towards) {
		head := m.head()
		if more, err := take(head.scope, head); err != nil || !more {
			return err
		}
		if err := m.advance(ctx); err != nil {
			return err
		}
	}
	return nil
}
