package catalog

import (
	"context"
	"slices"

	"github.com/ddltail/ddltail/internal/detector"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/schema"
)

// Span is a stretch of oplog from a moment to a listing of the catalog behind it.
type Span struct {
	From oplog.Start
	To   Listed
	// LastKnown is the catalog before the stretch, for what was dropped within it.
	LastKnown *schema.Catalog
}

// Rewound returns the catalog at the beginning of a span, from the listing at
// its end and what the oplog says happened between. It keeps the schema changes of the
// span in memory, and nothing else of the oplog.
func Rewound(ctx context.Context, m oplog.Member, d detector.Detector, s Span) ([]schema.Version, error) {
	var between []oplog.Unit
	err := units(ctx, m, s.From, s.To.At.TS, func(u oplog.Unit) {
		if len(u.Operations) > 0 {
			between = append(between, u.Clone())
		}
	})
	if err != nil {
		return nil, err
	}
	past := detector.NewRewind(d, s.To.Versions, s.LastKnown)
	for _, u := range slices.Backward(between) {
		past.Undo(u)
	}
	return past.Versions(), nil
}

// Changed returns the versions, dated at, that lead from what is known to a state, and
// those namespaces of the state of which nothing but the name is known. A namespace
// that is known and not in the state is one that was dropped.
func Changed(known *schema.Catalog, state []schema.Version, at oplog.Moment) (changed, undefined []schema.Version) {
	there := make(map[schema.Namespace]bool, len(state))
	generated := schema.NewGeneratedNames()
	for _, v := range state {
		if !v.Definition.Known() {
			if !v.Definition.Temporary {
				undefined = append(undefined, v)
			}
			continue
		}
		there[v.Namespace] = true
		old, ok := known.Lookup(v.Namespace)
		if generated.StaysTemporary(v.Namespace.Collection, old, *v.Definition) {
			def := *v.Definition
			def.Temporary = true
			v.Definition = &def
		}
		if !ok || !old.EquivalentIdentity(*v.Definition) {
			v.OpTime, v.Wall = at.OpTime, at.Wall
			changed = append(changed, v)
		}
	}
	for _, v := range known.All() {
		if !there[v.Namespace] {
			changed = append(changed, schema.Version{Namespace: v.Namespace, OpTime: at.OpTime, Wall: at.Wall})
		}
	}
	return changed, undefined
}
