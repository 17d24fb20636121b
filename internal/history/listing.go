package history

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/migration"
	"github.com/ddltail/ddltail/internal/terminal"
)

// Listing writes a schema in human-readable form: each namespace with its options, its indexes
// beneath.
type Listing struct {
	out    *bufio.Writer
	screen terminal.Screen
	found  int
}

// NewListing writes to w.
func NewListing(w io.Writer, screen terminal.Screen) *Listing {
	return &Listing{out: bufio.NewWriter(w), screen: screen}
}

// Source begins the schema of one source, if there are several.
func (l *Listing) Source(name string) {
	fmt.Fprintln(l.out, l.screen.Paint(terminal.Bold, "source "+terminal.Escape(name)))
}

// Standing writes one namespace.
func (l *Listing) Standing(s Standing) error {
	l.found++
	d := s.Version.Definition
	since := "since " + stamp(s.Version.Wall)
	if !s.Inferred.IsZero() {
		since += "~"
	}
	head := fmt.Sprintf("%s  %s  %s", terminal.Escape(s.Version.Namespace.String()), d.Kind, since)
	options := ""
	if elems, err := d.Options.Elements(); err == nil && len(elems) > 0 {
		options = inlineDocument(d.Options)
	}
	name := terminal.Escape(s.Version.Namespace.String())
	rest := strings.TrimPrefix(head, name)
	if err := l.line(name, terminal.Cyan, rest, options); err != nil {
		return err
	}
	specs := slices.Clone(d.Indexes)
	slices.SortFunc(specs, func(a, b bson.Raw) int { return strings.Compare(indexName(a), indexName(b)) })
	for _, spec := range specs {
		key, _ := spec.Lookup("key").DocumentOK()
		more := byKey(spec, "name", "key", "v")
		text := inlineDocument(key)
		if elems, err := more.Elements(); err == nil && len(elems) > 0 {
			text += " " + inlineDocument(more)
		}
		if err := l.line("  "+terminal.Escape(indexName(spec)), terminal.Green, "", text); err != nil {
			return err
		}
	}
	return nil
}

func inlineDocument(doc bson.Raw) string {
	return inline(bson.RawValue{Type: bson.TypeEmbeddedDocument, Value: doc})
}

// line writes a name, its details, and a text that is truncated to the screen.
func (l *Listing) line(name string, colour terminal.Colour, rest, text string) error {
	if l.screen.Columns > 0 {
		used := terminal.Width(name) + terminal.Width(rest) + 2
		text = terminal.Cut(text, max(l.screen.Columns-used, minRest))
	}
	if text != "" {
		text = "  " + l.screen.Paint(terminal.Dim, text)
	}
	_, err := l.out.WriteString(l.screen.Paint(colour, name) + rest + text + "\n")
	return ending(err)
}

// Notes writes the notes on the result and its totals.
func (l *Listing) Notes(notes []string) error {
	for _, n := range notes {
		fmt.Fprintln(l.out, l.screen.Paint(terminal.Yellow, n))
	}
	if l.found == 0 {
		fmt.Fprintln(l.out, "no namespace is known to have existed")
	}
	return flush(l.out)
}

// StandingJSON writes each namespace as a line of relaxed Extended JSON.
type StandingJSON struct{ out *bufio.Writer }

// NewStandingJSON writes to w.
func NewStandingJSON(w io.Writer) StandingJSON { return StandingJSON{out: bufio.NewWriter(w)} }

// Standing writes one line.
func (j StandingJSON) Standing(s Standing) error {
	v := s.Version
	doc := append(bson.D{
		{Key: "source", Value: s.Source},
		{Key: "ns", Value: v.Namespace.String()},
		{Key: "database", Value: v.Namespace.Database},
		{Key: "collection", Value: v.Namespace.Collection},
		{Key: "since", Value: v.Wall},
		{Key: "optime", Value: v.OpTime},
	}, definitionFields(*v.Definition)...)
	if !s.Inferred.IsZero() {
		doc = append(doc, bson.E{Key: "inferred", Value: intervalFields(s.Inferred)})
	}
	return writeJSON(j.out, doc)
}

// Flush writes what is buffered.
func (j StandingJSON) Flush() error { return flush(j.out) }

func intervalFields(i Interval) bson.D {
	return bson.D{{Key: "from", Value: i.From}, {Key: "to", Value: i.To}}
}

// WriteScript writes a script with a head that describes its effect, the data that it deletes,
// and what is uncertain.
func WriteScript(w io.Writer, head string, notes []string, script migration.Script) error {
	out := bufio.NewWriter(w)
	for _, line := range slices.Concat([]string{head}, notes) {
		fmt.Fprintf(out, "// %s\n", terminal.Escape(line))
	}
	if n := script.Destroying(); n > 0 {
		fmt.Fprintf(out, "// READ BEFORE RUNNING: documents are deleted by %s below, marked DATA.\n", plural(n, "statement"))
	}
	if n := script.Unsaid(); n > 0 {
		fmt.Fprintf(out, "// NOT COMPLETE: %s cannot be expressed in mongosh.\n", plural(n, "step"))
	}
	if n := script.Withheld(); n > 0 {
		fmt.Fprintf(out, "// NOT COMPLETE: %s below left as comments that begin with NOT, to keep documents.\n", plural(n, "difference"))
	}
	_, err := out.WriteString(script.String())
	if err == nil {
		err = out.Flush()
	}
	return ending(err)
}

func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// Stamp formats a time for tables and scripts.
func Stamp(t time.Time) string { return t.Local().Format(stampLayout + ".000 MST") }
