package history

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/risk"
	"github.com/ddltail/ddltail/internal/terminal"
)

// lookahead is how many changes are read before the column widths are set.
const lookahead = 200

// maxActor is the maximum width of the column of actors.
const maxActor = 32

// minRest is the minimum width of the last column.
const minRest = 20

// Table writes changes as a human-readable table, one line each.
type Table struct {
	out     *bufio.Writer
	screen  terminal.Screen
	style   Style
	waiting []Change
	widths  []int
	actors  bool // one of the changes that decided the widths has an actor
	spans   spans
}

// Style configures what a table shows.
type Style struct {
	// Wide shows statements and _ids in full, regardless of the terminal's width.
	Wide bool
	// Sources shows the source of each change.
	Sources bool
}

// NewTable writes to w.
func NewTable(w io.Writer, screen terminal.Screen, style Style) *Table {
	if style.Wide {
		screen.Columns = 0
	}
	return &Table{out: bufio.NewWriter(w), screen: screen, style: style}
}

// Change writes or buffers one line.
func (t *Table) Change(c Change) error {
	t.spans.add(inferredSpan(c))
	if t.widths != nil {
		return t.line(c)
	}
	t.waiting = append(t.waiting, c)
	if len(t.waiting) < lookahead {
		return nil
	}
	return t.begin()
}

// inferredSpan returns the interval of a change for its footnote; none for a gap, whose line
// contains it.
func inferredSpan(c Change) Interval {
	if c.Operation == notification.HistoryGap {
		return Interval{}
	}
	return c.Inferred
}

// Flush writes all buffered lines.
func (t *Table) Flush() error {
	if t.widths == nil && len(t.waiting) > 0 {
		if err := t.begin(); err != nil {
			return err
		}
	}
	return flush(t.out)
}

// Notes writes the notes on inferred lines and on the result as a whole.
func (t *Table) Notes(notes ...string) error {
	if err := t.Flush(); err != nil {
		return err
	}
	for _, span := range t.spans.list {
		notes = append(notes, "~ happened "+span.words("at an unknown time")+": inferred from a comparison")
	}
	for _, n := range notes {
		fmt.Fprintln(t.out, t.screen.Paint(terminal.Yellow, n))
	}
	return flush(t.out)
}

// begin sets the column widths by the changes read so far, and writes their lines.
func (t *Table) begin() error {
	t.actors = slices.ContainsFunc(t.waiting, func(c Change) bool { return !c.Actor.IsZero() })
	head := []string{"TIME " + time.Now().Format("MST"), "ID"}
	if t.actors {
		head = append(head, "ACTOR")
	}
	head = append(head, "OPERATION")
	t.widths = make([]int, len(head))
	for i, h := range head {
		t.widths[i] = terminal.Width(h)
	}
	for _, c := range t.waiting {
		for i, cell := range t.cells(c) {
			t.widths[i] = max(t.widths[i], terminal.Width(cell))
		}
	}
	last := "NAMESPACE AND STATEMENT"
	if err := t.write(terminal.Bold, terminal.Bold, head, last, ""); err != nil {
		return err
	}
	for _, c := range t.waiting {
		if err := t.line(c); err != nil {
			return err
		}
	}
	t.waiting = nil
	return nil
}

// cells are the columns before the last.
func (t *Table) cells(c Change) []string {
	at, id := c.Wall.Local().Format(stampLayout), c.ShortID(t.style.Sources)
	if t.style.Wide {
		at, id = c.Wall.Local().Format(stampLayout+".000"), c.ID
	}
	if !inferredSpan(c).IsZero() {
		at += "~"
	}
	cells := []string{at, terminal.Escape(id)}
	if t.actors {
		who := c.ActorText()
		if !t.style.Wide {
			who = terminal.Cut(who, maxActor)
		}
		cells = append(cells, who)
	}
	return append(cells, terminal.Escape(string(c.Operation)))
}

func (t *Table) line(c Change) error {
	statement := c.Short()
	if t.style.Wide {
		statement = c.Mongosh
		if statement == "" {
			statement = c.Statement
		}
	}
	return t.write(terminal.Plain, colourOf(c.Operation), t.cells(c), terminal.Escape(c.Subject()), terminal.Escape(statement))
}

func (t *Table) write(all, operation terminal.Colour, cells []string, subject, statement string) error {
	var line strings.Builder
	used := 0
	for i, cell := range cells {
		colour := all
		if i == len(cells)-1 {
			colour = operation
		}
		line.WriteString(t.screen.Paint(colour, terminal.Pad(cell, t.widths[i])) + "  ")
		used += max(t.widths[i], terminal.Width(cell)) + 2
	}
	room := t.screen.Columns - used
	if t.screen.Columns > 0 {
		room = max(room, minRest)
	}
	subject = terminal.Cut(subject, max(room, 0))
	line.WriteString(t.screen.Paint(all, subject))
	if rest := room - terminal.Width(subject) - 2; statement != "" && (t.screen.Columns == 0 || rest >= 4) {
		if t.screen.Columns > 0 {
			statement = terminal.Cut(statement, rest)
		}
		line.WriteString("  " + t.screen.Paint(terminal.Dim, statement))
	}
	_, err := t.out.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	return ending(err)
}

// colourOfRisk returns the colour of risks that need attention.
func colourOfRisk(r risk.Level) terminal.Colour {
	switch r {
	case risk.Destructive:
		return terminal.Red
	case risk.Breaking:
		return terminal.Yellow
	case risk.Unknown:
		return terminal.Alarm
	}
	return terminal.Plain
}

// colourOf distinguishes additions from removals.
func colourOf(op notification.Operation) terminal.Colour {
	switch op {
	case notification.CreateCollection, notification.CreateIndex, notification.CreateView:
		return terminal.Green
	case notification.DropCollection, notification.DropIndex, notification.DropView, notification.DropDatabase, notification.AbortIndexBuild:
		return terminal.Red
	case notification.HistoryGap, notification.UnknownCommand:
		return terminal.Alarm
	}
	return terminal.Yellow
}
