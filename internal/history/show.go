package history

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/store"
	"github.com/ddltail/ddltail/internal/terminal"
)

// ErrNotFound is returned if the history has no such change, or several.
var ErrNotFound = errors.New("no such change in the history")

// Find returns the change with an _id, or with the short form that the tables show: without
// leading zeros, and without the source if only one source has such a change.
func (r Reader) Find(ctx context.Context, id string) (Change, error) {
	cur, err := r.changes().Find(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: r.candidates(ctx, id)}}}},
		options.Find().SetLimit(2))
	if err != nil {
		return Change{}, fmt.Errorf("find %s: %w", terminal.Escape(id), err)
	}
	var found []Change
	err = eachChange(ctx, cur, func(c Change) error {
		found = append(found, c)
		return nil
	})
	switch {
	case err != nil:
		return Change{}, err
	case len(found) == 0:
		return Change{}, fmt.Errorf("%s: %w", terminal.Escape(id), ErrNotFound)
	case len(found) > 1:
		return Change{}, fmt.Errorf("%s: %w: it can be %s or %s; add the source", terminal.Escape(id), ErrNotFound, found[0].ID, found[1].ID)
	}
	if found, err = r.withActors(ctx, found); err != nil {
		return Change{}, err
	}
	return found[0], nil
}

// candidates returns the _ids that a short form can mean.
func (r Reader) candidates(ctx context.Context, id string) []string {
	short, err := notification.ParseID(id)
	if err != nil {
		return []string{id}
	}
	sources := []string{short.Source}
	if short.Source == "" {
		// If the sources cannot be listed, only the exact _id is searched for.
		sources, _ = r.Sources(ctx)
	}
	out := []string{id}
	for _, short.Source = range sources {
		out = append(out, short.String())
	}
	return out
}

// Show writes one change in full, before and after as a difference.
func Show(w io.Writer, screen terminal.Screen, c Change) error {
	out := bufio.NewWriter(w)
	width := screen.Columns
	if width == 0 {
		width = 120
	}
	fields := shownFields(screen, c)
	longest := 0
	for _, f := range fields {
		longest = max(longest, terminal.Width(f.name))
	}
	for _, f := range fields {
		fmt.Fprintf(out, "%s  %s\n", screen.Paint(terminal.Dim, terminal.Pad(f.name, longest)), f.value)
	}
	showDefinitions(out, screen, c, width)
	return flush(out)
}

type shownField struct{ name, value string }

// shownFields returns all existing fields except the definitions.
func shownFields(screen terminal.Screen, c Change) []shownField {
	fields := []shownField{{"operation", screen.Paint(colourOf(c.Operation), terminal.Escape(string(c.Operation)))}}
	if c.Risk != "" {
		fields = append(fields, shownField{"risk", screen.Paint(colourOfRisk(c.Risk), terminal.Escape(string(c.Risk)))})
	}
	if c.Operation != notification.HistoryGap {
		fields = append(fields, shownField{"namespace", terminal.Escape(c.Namespace)})
	}
	fields = append(fields, shownField{"index", terminal.Escape(c.Index)}, shownField{"to", terminal.Escape(c.To)},
		shownField{"time", when(c)}, shownField{"actor", c.details()}, shownField{"id", terminal.Escape(c.ID)})
	for _, el := range others(c.Raw) {
		fields = append(fields, shownField{terminal.Escape(el.Key()), inline(el.Value())})
	}
	fields = append(fields, shownField{"statement", terminal.Escape(c.Statement)})
	if c.Mongosh != c.Statement {
		fields = append(fields, shownField{"mongosh", terminal.Escape(c.Mongosh)})
	}
	fields = append(fields, shownField{"undo", terminal.Escape(c.Undo)})
	return slices.DeleteFunc(fields, func(f shownField) bool { return f.value == "" })
}

func when(c Change) string {
	if c.Operation == notification.HistoryGap {
		return c.Inferred.words("the history is lost: changes in it are inferred from a comparison")
	}
	if !c.Inferred.IsZero() {
		return c.Inferred.words("(inferred from a comparison)")
	}
	return c.Wall.Local().Format(stampLayout + ".000 MST")
}

// others returns the fields that are not shown on a separate line.
func others(doc bson.Raw) []bson.RawElement {
	elems, err := doc.Elements()
	if err != nil {
		return nil
	}
	var out []bson.RawElement
	for _, el := range elems {
		switch el.Key() {
		case "_id", "operation", "collection", "index_name", "operation_statement", "timestamp", "database", "ns", "to", "from",
			"risk", "mongosh", "undo", "before", "after", "wall", "not_before", "not_after", store.FieldActor:
		default:
			out = append(out, el)
		}
	}
	return out
}

// showDefinitions writes the difference of two definitions: removed lines begin with a
// minus, added ones with a plus.
func showDefinitions(out *bufio.Writer, screen terminal.Screen, c Change, width int) {
	before, hadBefore := c.Raw.Lookup("before").DocumentOK()
	after, hasAfter := c.Raw.Lookup("after").DocumentOK()
	if !hadBefore && !hasAfter {
		return
	}
	title := map[bool]string{true: "before (-) and after (+)", false: "after (+)"}[hadBefore]
	if !hasAfter {
		title = "before (-)"
	}
	fmt.Fprintf(out, "\n%s\n", screen.Paint(terminal.Bold, title))
	var left, right []string
	if hadBefore {
		left = Lines(byKey(before), width-4)
	}
	if hasAfter {
		right = Lines(byKey(after), width-4)
	}
	var added []string
	flushAdded := func() {
		for _, line := range added {
			fmt.Fprintln(out, screen.Paint(terminal.Green, "+ "+line))
		}
		added = nil
	}
	for _, r := range compareLines(left, right) {
		if r.same() {
			flushAdded()
			fmt.Fprintln(out, "  "+r.left)
			continue
		}
		if r.hasLeft {
			fmt.Fprintln(out, screen.Paint(terminal.Red, "- "+r.left))
		}
		if r.hasRight {
			added = append(added, r.right)
		}
	}
	flushAdded()
}

// Qualify prepends the source to a short form without one.
func Qualify(id, source string) string {
	if parsed, err := notification.ParseID(id); err == nil && parsed.Source == "" {
		return source + ":" + id
	}
	return id
}
