package history

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/catalog"
	"github.com/ddltail/ddltail/internal/migration"
	"github.com/ddltail/ddltail/internal/schema"
	"github.com/ddltail/ddltail/internal/terminal"
)

// Diff is the difference between the schemas of one source at two times.
type Diff struct {
	Source   string
	From, To time.Time
	// Before and After hold the definitions that may differ: a namespace with the same version
	// at both times is in neither.
	Before, After schema.Definitions
	Notes         []string
}

// Compare reads the difference between two times.
func (r Reader) Compare(ctx context.Context, source string, from, to time.Time) (Diff, error) {
	d := Diff{Source: source, From: from, To: to, Before: schema.Definitions{}, After: schema.Definitions{}}
	var ends [2]catalog.End
	for i, at := range []time.Time{from, to} {
		var err error
		if ends[i], err = r.versions().End(ctx, source, at); err != nil {
			return Diff{}, err
		}
	}
	m, err := r.between(ctx, d, ends)
	if err != nil {
		return Diff{}, err
	}
	var ids [2][]string
	for i, at := range []time.Time{from, to} {
		m.At, m.End = at, ends[i]
		if ids[i], err = r.versions().Standing(ctx, m); err != nil {
			return Diff{}, err
		}
	}
	for i, into := range []schema.Definitions{d.Before, d.After} {
		only := without(ids[i], ids[1-i])
		err := r.versions().Fetch(ctx, only, func(v schema.Version) error {
			if v.Definition != nil && !v.Definition.Temporary {
				into[v.Namespace] = *v.Definition
			}
			return nil
		})
		if err != nil {
			return Diff{}, err
		}
	}
	d.Notes, err = r.diffNotes(ctx, d, ends)
	return d, err
}

// maxNamed bounds how many namespaces a query names.
const maxNamed = 10_000

// between selects the versions that can differ between two times.
func (r Reader) between(ctx context.Context, d Diff, ends [2]catalog.End) (catalog.Moment, error) {
	if d.To.Before(d.From) {
		ends[0], ends[1] = ends[1], ends[0]
	}
	names, err := r.versions().Changed(ctx, d.Source, ends[0], ends[1])
	if err != nil {
		return catalog.Moment{}, err
	}
	m := catalog.Moment{Source: d.Source}
	if len(names) <= maxNamed {
		m.Namespaces = bson.D{{Key: "$in", Value: names}}
	}
	return m, nil
}

func without(ids, others []string) []string {
	there := make(map[string]struct{}, len(others))
	for _, id := range others {
		there[id] = struct{}{}
	}
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
		_, ok := there[id]
		return ok
	})
}

// diffNotes returns notes on what is uncertain at both times, and on the gaps between them.
func (r Reader) diffNotes(ctx context.Context, d Diff, ends [2]catalog.End) ([]string, error) {
	inf, err := r.inference(ctx, d.Source, later(d.From, d.To))
	if err != nil {
		return nil, err
	}
	var notes []string
	for i, at := range []time.Time{d.From, d.To} {
		a := AsOf{Source: d.Source, At: at}
		b, err := r.boundsAt(ctx, a, ends[i])
		if err != nil {
			return nil, err
		}
		for _, n := range b.notes(a, inf) {
			notes = append(notes, "at "+stamp(at)+": "+n)
		}
	}
	first, last := d.From, d.To
	if last.Before(first) {
		first, last = last, first
	}
	for _, g := range inf.gaps {
		if g.Inferred.To.After(first) && !g.Inferred.To.After(last) {
			notes = append(notes, "HISTORY GAP: "+g.Inferred.words("the history is lost")+"; changes in it are inferred from a comparison")
		}
	}
	return notes, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Script returns the script that changes the first schema into the second.
func (d Diff) Script(policy migration.Policy) migration.Script {
	return migration.Lead(d.Before, d.After, policy)
}

// Write writes each difference in human-readable form, the definitions side by side.
func (d Diff) Write(w io.Writer, screen terminal.Screen) error {
	out := bufio.NewWriter(w)
	width := screen.Columns
	if width == 0 {
		width = 160
	}
	half := max((width-3)/2, minRest)
	fmt.Fprintln(out, screen.Paint(terminal.Bold, terminal.Pad(Stamp(d.From), half)+"   "+Stamp(d.To)))
	differences := schema.Diff(d.Before, d.After, schema.ByName)
	for _, diff := range differences {
		d.writeOne(out, screen, diff, half)
	}
	if len(differences) == 0 {
		fmt.Fprintln(out, "no difference")
	}
	for _, n := range d.Notes {
		fmt.Fprintln(out, screen.Paint(terminal.Yellow, n))
	}
	return flush(out)
}

func (d Diff) writeOne(out *bufio.Writer, screen terminal.Screen, diff schema.Difference, half int) {
	left, right := side(diff.From, half), side(diff.To, half)
	title, colour := "changed", terminal.Yellow
	switch {
	case diff.From == nil:
		title, colour = "created", terminal.Green
	case diff.To == nil:
		title, colour = "dropped", terminal.Red
	case diff.From.Namespace != diff.To.Namespace:
		title = "renamed from " + terminal.Escape(diff.From.Namespace.String())
	}
	fmt.Fprintf(out, "\n%s\n", screen.Paint(colour, terminal.Escape(diff.Namespace().String())+": "+title))
	for _, r := range compareLines(left, right) {
		l, g := terminal.Fit(r.left, half), terminal.Cut(r.right, half)
		switch {
		case r.same():
			fmt.Fprintln(out, strings.TrimRight(l+"   "+g, " "))
		case r.hasLeft && r.hasRight:
			fmt.Fprintln(out, screen.Paint(terminal.Red, l)+" | "+screen.Paint(terminal.Green, g))
		case r.hasLeft:
			fmt.Fprintln(out, screen.Paint(terminal.Red, l)+" <")
		default:
			fmt.Fprintln(out, l+" > "+screen.Paint(terminal.Green, g))
		}
	}
}

func side(n *schema.Named, width int) []string {
	if n == nil {
		return nil
	}
	return definitionLines(n.Definition, width)
}

// WriteJSON writes each difference as a line of relaxed Extended JSON.
func (d Diff) WriteJSON(w io.Writer) error {
	out := bufio.NewWriter(w)
	for _, diff := range schema.Diff(d.Before, d.After, schema.ByName) {
		doc := bson.D{{Key: "source", Value: d.Source}, {Key: "ns", Value: diff.Namespace().String()}}
		for _, part := range []struct {
			name string
			n    *schema.Named
		}{{"before", diff.From}, {"after", diff.To}} {
			if part.n != nil {
				fields := append(bson.D{{Key: "ns", Value: part.n.Namespace.String()}}, definitionFields(part.n.Definition)...)
				doc = append(doc, bson.E{Key: part.name, Value: fields})
			}
		}
		if err := writeJSON(out, doc); err != nil {
			return err
		}
	}
	return flush(out)
}

func definitionFields(d schema.Definition) bson.D {
	fields := bson.D{{Key: "kind", Value: string(d.Kind)}}
	if !d.UUID.IsZero() {
		fields = append(fields, bson.E{Key: "uuid", Value: d.UUID.Binary()})
	}
	options := any(bson.D{})
	if d.Options != nil {
		options = d.Options
	}
	indexes := bson.A{}
	for _, spec := range d.Indexes {
		indexes = append(indexes, spec)
	}
	return append(fields, bson.E{Key: "options", Value: options}, bson.E{Key: "indexes", Value: indexes})
}
