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
	"github.com/ddltail/ddltail/internal/snapshot"
	"github.com/ddltail/ddltail/internal/store"
	"github.com/ddltail/ddltail/internal/terminal"
)

const (
	// rounds is how often a difference must be found: a namespace that changes during the
	// listing, or whose change has not been published yet, differs temporarily.
	rounds = 3
	// pause is the time between them.
	pause = time.Second
)

// compare lists the server's schema and compares it with the catalog.
func (c Check) compare(ctx context.Context, m oplog.Member, r *Report) error {
	var differing map[string]string
	for round := range rounds {
		if round > 0 {
			if err := sleep(ctx, pause); err != nil {
				return err
			}
		}
		read, err := c.read(ctx, m, string(r.Source))
		if err != nil {
			return fmt.Errorf("compare the catalog with the server's: %w", err)
		}
		now, number := read.differences(), len(read.known)
		r.Catalog.Namespaces, r.Catalog.Unlisted = &number, read.unlistedLines()
		r.compareDeclared(read)
		if differing == nil {
			differing = now
		}
		maps.DeleteFunc(differing, func(ns, what string) bool { return now[ns] != what })
		if len(differing) == 0 {
			break
		}
	}
	r.Catalog.Compared, r.Catalog.Differences = true, []string{}
	r.know(FactCatalog)
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

// comparison holds the known catalog and the server's.
type comparison struct {
	known, listed schema.Definitions
	unlisted      []schema.Unlisted
	// server are the definitions that the server listed, except temporary collections.
	server schema.Definitions
}

// read reads the known catalog and lists the server's, both without collections that the server
// creates for itself and without namespaces that it cannot list.
func (c Check) read(ctx context.Context, m oplog.Member, source string) (comparison, error) {
	head, err := m.Head(ctx)
	if err != nil {
		return comparison{}, err
	}
	l, err := snapshot.NewListing(m, head.TS)
	if err != nil {
		return comparison{}, err
	}
	defer l.Close()
	listed, err := l.List(ctx, schema.Scope{Own: store.Collections(c.Sink.Name())})
	if err != nil {
		return comparison{}, err
	}
	known, err := catalog.NewStore(c.Sink.Collection(store.Catalog), source).Load(ctx, head.TS)
	if err != nil {
		return comparison{}, err
	}
	listed.Versions = schema.NewGeneratedNames().Classify(known, listed.Versions)
	d := schema.NewUpdate(known, listed, oplog.Moment{})
	out := comparison{known: permanent(known.All()), listed: permanent(listed.Versions), unlisted: d.Unlisted, server: permanent(listed.Versions)}
	for _, v := range d.Kept {
		delete(out.known, v.Namespace)
	}
	return out, nil
}

func permanent(versions []schema.Version) schema.Definitions {
	out := schema.Definitions{}
	for _, v := range versions {
		if !v.Definition.Temporary {
			out[v.Namespace] = *v.Definition
		}
	}
	return out
}

// differences describes the differences by namespace.
func (c comparison) differences() map[string]string {
	out := map[string]string{}
	for ns, def := range c.known {
		there, ok := c.listed[ns]
		switch {
		case !ok:
			out[terminal.Escape(ns.String())] = "is in the catalog, but not on the server"
		case !there.Equivalent(def):
			out[terminal.Escape(ns.String())] = "is defined differently on the server"
		}
	}
	for ns := range c.listed {
		if _, ok := c.known[ns]; !ok {
			out[terminal.Escape(ns.String())] = "is on the server, but not in the catalog"
		}
	}
	return out
}

// unlistedLines returns a line for each part of the catalog that the server cannot list.
func (c comparison) unlistedLines() []string {
	lines := make([]string, len(c.unlisted))
	for i, u := range c.unlisted {
		lines[i] = terminal.Escape(u.String() + " cannot be listed: " + u.Reason)
	}
	slices.Sort(lines)
	return lines
}
