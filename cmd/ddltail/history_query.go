package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/history"
	"github.com/ddltail/ddltail/internal/migration"
	"github.com/ddltail/ddltail/internal/store"
	"github.com/ddltail/ddltail/internal/terminal"
)

// followEvery is how often `history --follow` polls for new changes.
const followEvery = time.Second

func (q historyQuery) run(ctx context.Context, h historySession) error {
	if !q.asOf.IsZero() {
		return q.printAsOf(ctx, h)
	}
	q.query.Source = h.source
	sources, err := h.sources(ctx, store.History)
	if err != nil {
		return err
	}
	out, err := q.output(h, len(sources) > 1)
	if err != nil {
		return err
	}
	var follower *history.Follower
	if q.follow {
		if follower, err = h.reader.NewFollower(ctx, q.query); err != nil {
			return err
		}
	}
	shown, found := q.query, false
	extent, err := h.reader.Each(ctx, q.query, func(c history.Change) error {
		found = true
		if shown.Since.IsZero() {
			shown.Since = c.Wall
		}
		if follower != nil && !follower.Began(c) {
			return nil
		}
		return out.Change(c)
	})
	if err != nil {
		return err
	}
	if !extent.Limited {
		shown.Since = q.query.Since
	}
	coverage, err := h.reader.ListNotes(ctx, q.query, sources, time.Now())
	if err != nil {
		return err
	}
	if !found {
		extent.Notes = append(extent.Notes, "no change matches")
	}
	extent.Notes = append(extent.Notes, coverage...)
	if err := footnotes(ctx, h, out, shown, extent); err != nil || follower == nil {
		return err
	}
	return follow(ctx, follower, out)
}

func (q historyQuery) output(h historySession, several bool) (history.Output, error) {
	switch q.format {
	case "json":
		return history.NewJSON(h.out), nil
	case "csv":
		return history.NewCSV(h.out)
	case "mongosh":
		return history.NewScript(h.out), nil
	}
	return history.NewTable(h.out, terminal.Of(h.out), history.Style{Wide: q.wide, Sources: several}), nil
}

// footnotes writes the notes on a list: below a table, otherwise to stderr, because they are
// not data.
func footnotes(ctx context.Context, h historySession, out history.Output, shown history.Query, extent history.Extent) error {
	gaps, err := h.reader.Gaps(ctx, shown.Source, shown.Since, shown.Until)
	if err != nil {
		return err
	}
	var notes []string
	for _, g := range gaps {
		notes = append(notes, fmt.Sprintf("HISTORY GAP %s: changes in it are known only from a comparison", g.Subject()))
	}
	notes = append(notes, extent.Notes...)
	if extent.Limited {
		notes = append(notes, fmt.Sprintf("the newest %d only; --limit 0 shows all", shown.Limit))
	}
	if table, ok := out.(*history.Table); ok {
		return table.Notes(notes...)
	}
	if err := out.Flush(); err != nil {
		return err
	}
	h.note(notes)
	return nil
}

func (h historySession) note(notes []string) {
	for _, n := range notes {
		fmt.Fprintf(h.notes, "ddltail: %s\n", terminal.Escape(n))
	}
}

// follow prints new changes until the context ends, and then returns nil.
func follow(ctx context.Context, f *history.Follower, out history.Output) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(followEvery):
		}
		err := f.Next(ctx, out.Change)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
}

// sources returns the sources that the output is built from. The collections that it is read from
// have to exist.
func (h historySession) sources(ctx context.Context, collections ...string) ([]string, error) {
	selected, err := h.selected(ctx)
	if err != nil {
		return nil, err
	}
	return selected, h.reader.Require(ctx, collections...)
}

// selected returns the source that is set, which has to exist, else all.
func (h historySession) selected(ctx context.Context) ([]string, error) {
	known, err := h.reader.Sources(ctx)
	switch {
	case err != nil:
		return nil, err
	case len(known) == 0:
		return nil, fmt.Errorf("no history of ddltail in the database %s: set DDLTAIL_DATABASE and DDLTAIL_SINK_URI as for ddltail run", h.database)
	case h.source == "":
		return known, nil
	case !slices.Contains(known, h.source):
		return nil, &config.Error{
			Reason: fmt.Sprintf("the database %s has no history of the source %q", h.database, h.source),
			Remedy: fmt.Sprintf("set --source or DDLTAIL_SOURCE to one of %q", known),
		}
	}
	return []string{h.source}, nil
}

// soleSource is sources for an output that can have only one.
func (h historySession) soleSource(ctx context.Context, collections ...string) (string, error) {
	selected, err := h.selected(ctx)
	if err != nil {
		return "", err
	}
	if len(selected) > 1 {
		return "", &config.Error{Reason: fmt.Sprintf("several sources share the database: %q", selected), Remedy: "name one with --source"}
	}
	return selected[0], h.reader.Require(ctx, collections...)
}

// printAsOf prints the schema at a time.
func (q historyQuery) printAsOf(ctx context.Context, h historySession) error {
	if q.format == "mongosh" {
		return q.printAsOfScript(ctx, h)
	}
	sources, err := h.sources(ctx, store.Catalog)
	if err != nil {
		return err
	}
	screen := terminal.Of(h.out)
	if q.wide {
		screen.Columns = 0
	}
	listing, lines := history.NewListing(h.out, screen), history.NewStandingJSON(h.out)
	take := listing.Standing
	if q.format == "json" {
		take = lines.Standing
	}
	var notes []string
	for _, source := range sources {
		if len(sources) > 1 && q.format == "table" {
			listing.Source(source)
		}
		more, err := h.reader.EachAsOf(ctx, history.AsOf{Source: source, At: q.asOf, Namespaces: q.query.Namespaces}, take)
		if err != nil {
			return err
		}
		notes = append(notes, more...)
	}
	if q.format == "json" {
		h.note(notes)
		return lines.Flush()
	}
	return listing.Notes(notes)
}

func (q historyQuery) printAsOfScript(ctx context.Context, h historySession) error {
	source, err := h.soleSource(ctx, store.Catalog)
	if err != nil {
		return err
	}
	s, notes, err := h.reader.Schema(ctx, history.AsOf{Source: source, At: q.asOf, Namespaces: q.query.Namespaces})
	if err != nil {
		return err
	}
	head := "the schema of " + source + " at " + history.Stamp(q.asOf) + ", for an empty server"
	return history.WriteScript(h.out, head, notes, migration.Create(s))
}

// find returns the change with an ID. An ID without a source is of the selected one.
func (h historySession) find(ctx context.Context, id string) (history.Change, error) {
	if _, err := h.sources(ctx, store.History); err != nil {
		return history.Change{}, err
	}
	if h.source != "" {
		id = history.Qualify(id, h.source)
	}
	return h.reader.Find(ctx, id)
}

func (h historySession) show(ctx context.Context, id, format string) error {
	c, err := h.find(ctx, id)
	if err != nil {
		return err
	}
	var out history.Output
	switch format {
	case "json":
		out = history.NewJSON(h.out)
	case "mongosh":
		out = history.NewScript(h.out)
	default:
		return history.Show(h.out, terminal.Of(h.out), c)
	}
	if err := out.Change(c); err != nil {
		return err
	}
	return out.Flush()
}

func (h historySession) diff(ctx context.Context, from, to time.Time, format string, policy migration.Policy) error {
	source, err := h.soleSource(ctx, store.Catalog)
	if err != nil {
		return err
	}
	d, err := h.reader.Compare(ctx, source, from, to)
	if err != nil {
		return err
	}
	switch format {
	case "json":
		h.note(d.Notes)
		return d.WriteJSON(h.out)
	case "mongosh":
		head := fmt.Sprintf("from the schema of %s at %s to that at %s", source, history.Stamp(from), history.Stamp(to))
		return history.WriteScript(h.out, head, d.Notes, d.Script(policy))
	}
	return d.Write(h.out, terminal.Of(h.out))
}
