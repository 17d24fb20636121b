package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/history"
	"github.com/ddltail/ddltail/internal/migration"
	"github.com/ddltail/ddltail/internal/terminal"
)

// followEvery is how often `history --follow` looks for what is new.
const followEvery = time.Second

func (q question) answer(ctx context.Context, a answer) error {
	if !q.asOf.IsZero() {
		return q.standing(ctx, a)
	}
	q.query.Source = a.source
	sources, err := a.sources(ctx)
	if err != nil {
		return err
	}
	out, err := q.output(a, len(sources) > 1)
	if err != nil {
		return err
	}
	var follower *history.Follower
	if q.follow {
		if follower, err = a.reader.NewFollower(ctx, q.query); err != nil {
			return err
		}
	}
	shown, found := q.query, false
	extent, err := a.reader.Each(ctx, q.query, func(c history.Change) error {
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
	coverage, err := a.reader.ListNotes(ctx, q.query, sources, time.Now())
	if err != nil {
		return err
	}
	if !found {
		extent.Notes = append(extent.Notes, "no change matches")
	}
	extent.Notes = append(extent.Notes, coverage...)
	if err := remarks(ctx, a, out, shown, extent); err != nil || follower == nil {
		return err
	}
	return followOn(ctx, follower, out)
}

func (q question) output(a answer, several bool) (history.Output, error) {
	switch q.format {
	case "json":
		return history.NewJSON(a.out), nil
	case "csv":
		return history.NewCSV(a.out)
	case "mongosh":
		return history.NewScript(a.out), nil
	}
	return history.NewTable(a.out, terminal.Of(a.out), history.Style{Wide: q.wide, Sources: several}), nil
}

// remarks returns the notes on a list: below a table, otherwise on
// stderr, because they are not data.
func remarks(ctx context.Context, a answer, out history.Output, shown history.Query, extent history.Extent) error {
	gaps, err := a.reader.Gaps(ctx, shown.Source, shown.Since, shown.Until)
	if err != nil {
		return err
	}
	var notes []string
	for _, g := range gaps {
		notes = append(notes, fmt.Sprintf("HISTORY GAP %s: what happened then is not known but by a comparison", g.Subject()))
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
	a.note(notes)
	return nil
}

func (a answer) note(notes []string) {
	for _, n := range notes {
		fmt.Fprintf(a.notes, "ddltail: %s\n", terminal.Escape(n))
	}
}

// followOn runs until the context ends, and then returns nil.
func followOn(ctx context.Context, f *history.Follower, out history.Output) error {
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

// sources returns the sources that the output is built from.
func (a answer) sources(ctx context.Context) ([]string, error) {
	known, err := a.reader.Sources(ctx)
	switch {
	case err != nil:
		return nil, err
	case len(known) == 0:
		return nil, fmt.Errorf("no history of ddltail in the database %s: set DDLTAIL_DATABASE and DDLTAIL_SINK_URI as for ddltail run", a.database)
	case a.source == "":
		return known, nil
	case !slices.Contains(known, a.source):
		return nil, &config.Error{
			Reason: fmt.Sprintf("the database %s has no history of the source %q", a.database, a.source),
			Remedy: fmt.Sprintf("set --source or DDLTAIL_SOURCE to one of %q", known),
		}
	}
	return []string{a.source}, nil
}

// one is the source of an answer that can be of one only.
func (a answer) one(ctx context.Context) (string, error) {
	sources, err := a.sources(ctx)
	if err != nil {
		return "", err
	}
	if len(sources) == 1 {
		return sources[0], nil
	}
	return "", &config.Error{Reason: fmt.Sprintf("several sources share the database: %q", sources), Remedy: "name one with --source"}
}

// standing answers what the schema was.
func (q question) standing(ctx context.Context, a answer) error {
	if q.format == "mongosh" {
		return q.standingScript(ctx, a)
	}
	sources, err := a.sources(ctx)
	if err != nil {
		return err
	}
	screen := terminal.Of(a.out)
	if q.wide {
		screen.Columns = 0
	}
	listing, lines := history.NewListing(a.out, screen), history.NewStandingJSON(a.out)
	take := listing.Standing
	if q.format == "json" {
		take = lines.Standing
	}
	var notes []string
	for _, source := range sources {
		if len(sources) > 1 && q.format == "table" {
			listing.Source(source)
		}
		more, err := a.reader.EachAsOf(ctx, history.AsOf{Source: source, At: q.asOf, Namespaces: q.query.Namespaces}, take)
		if err != nil {
			return err
		}
		notes = append(notes, more...)
	}
	if q.format == "json" {
		a.note(notes)
		return lines.Flush()
	}
	return listing.Notes(notes)
}

func (q question) standingScript(ctx context.Context, a answer) error {
	source, err := a.one(ctx)
	if err != nil {
		return err
	}
	s, notes, err := a.reader.Schema(ctx, history.AsOf{Source: source, At: q.asOf, Namespaces: q.query.Namespaces})
	if err != nil {
		return err
	}
	head := "the schema of " + source + " at " + history.Stamp(q.asOf) + ", for an empty server"
	return history.WriteScript(a.out, head, notes, migration.Create(s))
}

// find returns the change of an ID, of the selected source if it names none.
func (a answer) find(ctx context.Context, id string) (history.Change, error) {
	if _, err := a.sources(ctx); err != nil {
		return history.Change{}, err
	}
	if a.source != "" {
		id = history.Qualify(id, a.source)
	}
	return a.reader.Find(ctx, id)
}

func (a answer) show(ctx context.Context, id, format string) error {
	c, err := a.find(ctx, id)
	if err != nil {
		return err
	}
	var out history.Output
	switch format {
	case "json":
		out = history.NewJSON(a.out)
	case "mongosh":
		out = history.NewScript(a.out)
	default:
		return history.Show(a.out, terminal.Of(a.out), c)
	}
	if err := out.Change(c); err != nil {
		return err
	}
	return out.Flush()
}

func (a answer) diff(ctx context.Context, from, to time.Time, format string, policy migration.Policy) error {
	source, err := a.one(ctx)
	if err != nil {
		return err
	}
	d, err := a.reader.Compare(ctx, source, from, to)
	if err != nil {
		return err
	}
	switch format {
	case "json":
		a.note(d.Notes)
		return d.WriteJSON(a.out)
	case "mongosh":
		head := fmt.Sprintf("from the schema of %s at %s to that at %s", source, history.Stamp(from), history.Stamp(to))
		return history.WriteScript(a.out, head, d.Notes, d.Script(policy))
	}
	return d.Write(a.out, terminal.Of(a.out))
}
