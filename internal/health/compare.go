package health

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ddltail/ddltail/internal/catalog"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/schema"
	"github.com/ddltail/ddltail/internal/sink"
	"github.com/ddltail/ddltail/internal/terminal"
)

const (
	// rounds is how often a difference must be seen: what changes while it is listed,
	// or has not been published yet, differs for a moment.
	rounds = 3
	// pause is the time between them.
	pause = time.Second
)

// compare lists what the server has and compares it with the catalog.
func (c Check) compare(ctx context.Context, m oplog.Member, r *Report) error {
	var differing map[string]string
	for round := range rounds {
		if round > 0 {
			if err := sleep(ctx, pause); err != nil {
				return err
			}
		}
		now, number, err := c.differences(ctx, m, r.Source)
		if err != nil {
			return fmt.Errorf("compare the catalog with the server's: %w", err)
		}
		r.Catalog.Namespaces = number
		if differing == nil {
			differing = now
		}
		maps.DeleteFunc(differing, func(ns, what string) bool { return now[ns] != what })
		if len(differing) == 0 {
			break
		}
	}
	r.Catalog.Compared = true
	for _, ns := range slices.Sorted(maps.Keys(differing)) {
		r.Catalog.Differences = append(r.Catalog.Differences, ns+" "+differing[ns])
	}
	if n := len(differing); n > 0 {
		r.problem(fmt.Sprintf("the catalog differs from the server's in %d namespaces", n))
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// differences says by namespace what is not the same, and how many there are.
func (c Check) differences(ctx context.Context, m oplog.Member, source string) (map[string]string, int, error) {
	head, err := m.Head(ctx)
	if err != nil {
		return nil, 0, err
	}
	listed, err := list(ctx, m, head, schema.Scope{Own: sink.Collections(c.Sink.Name())})
	if err != nil {
		return nil, 0, err
	}
	known, err := catalog.NewStore(c.Sink.Collection(sink.Catalog), source).Load(ctx, head.TS)
	if err != nil {
		return nil, 0, err
	}
	out := map[string]string{}
	generated := schema.NewGeneratedNames()
	for _, v := range known.All() {
		if v.Definition.Temporary {
			if generated.StaysTemporary(v.Namespace.Collection, *v.Definition, listed[v.Namespace]) {
				delete(listed, v.Namespace)
			}
			continue
		}
		there, ok := listed[v.Namespace]
		switch {
		case !ok:
			out[terminal.Escape(v.Namespace.String())] = "is known and not there"
		case !there.Equivalent(*v.Definition):
			out[terminal.Escape(v.Namespace.String())] = "is defined otherwise"
		}
		delete(listed, v.Namespace)
	}
	number := len(known.All())
	for ns := range listed {
		out[terminal.Escape(ns.String())] = "is there and not known"
	}
	return out, number, nil
}

// list returns what a member has, but for what the server makes for itself.
func list(ctx context.Context, m oplog.Member, at oplog.OpTime, watch schema.Scope) (schema.Definitions, error) {
	l, err := catalog.NewListing(m, at.TS)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	databases, err := l.Databases(ctx)
	if err != nil {
		return nil, err
	}
	out := schema.Definitions{}
	for _, db := range databases {
		if !watch.Includes(schema.Namespace{Database: db}) {
			continue
		}
		versions, err := l.Collections(ctx, db)
		if err != nil {
			return nil, err
		}
		for _, v := range versions {
			if !watch.Includes(v.Namespace) || v.Definition.Temporary {
				continue
			}
			if v.Definition.Kind != schema.KindView {
				if v.Definition.Indexes, err = l.Indexes(ctx, v.Namespace); err != nil {
					return nil, err
				}
			}
			out[v.Namespace] = *v.Definition
		}
	}
	return out, nil
}
