package history

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/terminal"
)

// Output writes changes one after the other.
type Output interface {
	Change(c Change) error
	// Flush writes all buffered output.
	Flush() error
}

// JSON writes each change as a line of relaxed Extended JSON, the whole document.
type JSON struct{ out *bufio.Writer }

// NewJSON writes to w.
func NewJSON(w io.Writer) JSON { return JSON{out: bufio.NewWriter(w)} }

// Change writes one line.
func (j JSON) Change(c Change) error { return writeJSON(j.out, c.Raw) }

// Flush writes what is buffered.
func (j JSON) Flush() error { return flush(j.out) }

func writeJSON(w *bufio.Writer, doc any) error {
	line, err := bson.MarshalExtJSON(doc, false, false)
	if err != nil {
		return fmt.Errorf("write as JSON: %w", err)
	}
	if !strings.ContainsFunc(string(line), func(r rune) bool { return !unicode.IsPrint(r) }) {
		_, err := w.Write(append(line, '\n'))
		return ending(err)
	}
	for _, r := range string(line) {
		// Characters other than ASCII occur only in strings, where they can be escaped.
		switch {
		case r < unicode.MaxASCII || unicode.IsPrint(r):
			w.WriteRune(r) //nolint:errcheck // Flush returns it
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(w, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(w, `\u%04x`, r)
		}
	}
	return ending(w.WriteByte('\n'))
}

// Script writes the statements that repeat the changes, for mongosh.
type Script struct{ out *bufio.Writer }

// NewScript writes to w.
func NewScript(w io.Writer) Script { return Script{out: bufio.NewWriter(w)} }

// Change writes a comment that identifies the change, and its statement.
func (s Script) Change(c Change) error {
	fmt.Fprintf(s.out, "// %s %s %s\n", c.Wall.UTC().Format("2006-01-02T15:04:05.000Z"), terminal.Escape(string(c.Operation)),
		terminal.Escape(c.Subject()))
	if c.Mongosh == "" {
		fmt.Fprintf(s.out, "// no statement: %s\n", terminal.Escape(c.Statement))
		return nil
	}
	_, err := s.out.WriteString(c.Mongosh + "\n")
	return ending(err)
}

// Flush writes what is buffered.
func (s Script) Flush() error { return flush(s.out) }

// CSV writes a table for other programs.
type CSV struct{ out *csv.Writer }

// NewCSV writes to w, beginning with a header line.
func NewCSV(w io.Writer) (CSV, error) {
	c := CSV{out: csv.NewWriter(w)}
	return c, c.write("time", "operation", "database", "collection", "index_name", "to", "operation_statement", "mongosh", "undo",
		"not_before", "not_after", "id", "risk",
		"user", "app", "driver", "client", "mechanism", "via", "evidence", "exact")
}

// Change writes one record.
func (o CSV) Change(c Change) error {
	return o.write(instant(c.Wall), string(c.Operation), c.Database, c.Collection, c.Index, c.To, c.Statement, c.Mongosh, c.Undo,
		instant(c.Inferred.From), instant(c.Inferred.To), c.ID, string(c.Risk),
		actorName(c.Actor), c.Actor.App, c.Actor.Driver, c.Actor.Client, c.Actor.Mechanism, c.Actor.Via, string(c.Actor.Evidence), exactText(c.Actor))
}

// write escapes every field for terminals, and for spreadsheets, which interpret a field that
// begins with one of = + - @ as a formula.
func (o CSV) write(fields ...string) error {
	for i, f := range fields {
		f = terminal.Escape(f)
		if f != "" && strings.ContainsRune("=+-@", rune(f[0])) {
			f = "'" + f
		}
		fields[i] = f
	}
	return ending(o.out.Write(fields))
}

// Flush writes what is buffered.
func (o CSV) Flush() error {
	o.out.Flush()
	return ending(o.out.Error())
}

// instant formats a time for programs; empty for the zero time.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

func flush(w *bufio.Writer) error { return ending(w.Flush()) }

func ending(err error) error {
	if err != nil {
		return fmt.Errorf("write the output: %w", err)
	}
	return nil
}
