package snapshot

import (
	"context"
	"slices"

	"github.com/ddltail/ddltail/internal/detector"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/schema"
)

// Span is a part of the oplog up to a snapshot.
type Span struct {
	From oplog.Start
	To   Snapshot
	// LastKnown is the catalog before the span, for namespaces that were dropped in it.
	LastKnown *schema.Catalog
}

// Rewound returns the catalog at the beginning of a span, from the snapshot at its end and the
// entries in between. It keeps only the schema changes of the span in memory.
func (t Taker) Rewound(ctx context.Context, m oplog.Member, s Span) (schema.Listed, error) {
	var between []oplog.Unit
	err := t.units(ctx, m, s.From, s.To.At.TS, func(u oplog.Unit) {
		if len(u.Operations) > 0 {
			between = append(between, u.Clone())
		}
	})
	if err != nil {
		return schema.Listed{}, err
	}
	past := detector.NewRewind(t.Detector, s.To.Listed, s.LastKnown)
	for _, u := range slices.Backward(between) {
		past.Undo(u)
	}
	return past.Listed(), nil
}
