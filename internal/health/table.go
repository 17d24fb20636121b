package health

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ddltail/ddltail/internal/privileges"
	"github.com/ddltail/ddltail/internal/terminal"
)

const notKnown = "not known"

// line writes one line of the report.
type line func(name, value string, c terminal.Colour)

// Write writes the report in human-readable form.
func (r Report) Write(w io.Writer, screen terminal.Screen) error {
	out := bufio.NewWriter(w)
	line := func(name, value string, c terminal.Colour) {
		fmt.Fprintf(out, "%s  %s\n", screen.Paint(terminal.Dim, terminal.Pad(name, 13)), screen.Paint(c, terminal.Cut(value, screen.Columns-15)))
	}
	if r.Healthy {
		line("status", "healthy", terminal.Green)
	} else {
		line("status", "NOT HEALTHY", terminal.Alarm)
	}
	line("replica set", fmt.Sprintf("%s, source %s, name %s", known(r.ReplicaSet), known(r.Source), r.Name), terminal.Plain)
	r.writeMembers(line)
	r.writePosition(line)
	r.writeHistory(line)
	r.writeQueue(line)
	r.writeActors(line)
	r.writeCatalog(line)
	r.writeDeclared(line)
	r.writePrivileges(line)
	for _, p := range r.Problems {
		fmt.Fprintln(out, screen.Paint(terminal.Alarm, "! "+terminal.Escape(p)))
	}
	for _, m := range r.Missing {
		fmt.Fprintln(out, "  "+terminal.Escape(m.Remedy))
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write the status: %w", err)
	}
	return nil
}

func (r Report) writeMembers(line line) {
	for _, m := range r.Members {
		text := terminal.Escape(m.Host) + " " + terminal.Escape(m.State)
		if m.Host == string(r.ReadFrom) {
			text += ", read from"
		}
		line("member", text, terminal.Plain)
	}
	if !r.knows(FactMembers) {
		line("members", notKnown, terminal.Red)
	}
}

func (r Report) writePosition(line line) {
	p, o := r.Position, r.Oplog
	switch {
	case p == nil && r.knows(FactPosition):
		line("position", "none: no checkpoint", terminal.Red)
	case p == nil:
		line("position", notKnown, terminal.Red)
	case p.LagSeconds == nil:
		line("position", stamp(p.Time)+", lag "+notKnown, terminal.Red)
	default:
		line("position", fmt.Sprintf("%s, %s behind", stamp(p.Time), span(*p.LagSeconds)), terminal.Plain)
	}
	if o == nil {
		line("oplog", notKnown, terminal.Red)
	} else {
		line("oplog", fmt.Sprintf("%s to %s, %s", stamp(o.Oldest), stamp(o.Newest), span(o.WindowSeconds)), terminal.Plain)
	}
	if p == nil || p.RemainingSeconds == nil {
		line("falls off", notKnown, terminal.Red)
		return
	}
	line("falls off", fmt.Sprintf("in %s at the earliest, if the position stops", span(max(0, *p.RemainingSeconds))), terminal.Plain)
}

func (r Report) writeHistory(line line) {
	switch e := r.LastEvent; {
	case !r.knows(FactLastChange):
		line("last change", notKnown, terminal.Red)
	case e == nil:
		line("last change", "none", terminal.Plain)
	default:
		line("last change", fmt.Sprintf("%s %s %s", stamp(e.Time), e.Operation, terminal.Escape(e.NS)), terminal.Plain)
	}
	switch g := r.Gaps; {
	case g == nil:
		line("gaps", notKnown, terminal.Red)
	case g.Number == 0:
		line("gaps", "none", terminal.Plain)
	default:
		line("gaps", fmt.Sprintf("%d, the last from %s to %s", g.Number, stamp(*g.From), stamp(*g.To)), terminal.Yellow)
	}
}

func (r Report) writeQueue(line line) {
	q := r.Queue
	switch {
	case q == nil && r.knows(FactQueue):
		line("notifications", "no queue: DDLTAIL_SINKS does not name mongodb", terminal.Plain)
		return
	case q == nil:
		line("notifications", notKnown+r.queueNote, terminal.Red)
		return
	}
	text := fmt.Sprintf("%d unprocessed", q.Unprocessed)
	if q.AtLeast {
		text = fmt.Sprintf("%d or more unprocessed", q.Unprocessed)
	}
	switch {
	case q.Oldest != nil:
		text += ", the oldest of " + stamp(*q.Oldest)
	case q.Unprocessed > 0:
		text += ", the age of the oldest " + notKnown
	}
	line("notifications", text, terminal.Plain)
	if f := q.Failing; f != nil {
		line("delivery", fmt.Sprintf("fails for %s at %s %s, ID %s, after %d attempts: %s; later ones of its collections wait",
			terminal.Escape(f.Receiver), terminal.Escape(f.Operation), terminal.Escape(f.Subject), terminal.Escape(f.ID), f.Attempts, terminal.Escape(f.Reason)), terminal.Yellow)
	}
}

func (r Report) writeCatalog(line line) {
	switch {
	case !r.Catalog.Compared:
		line("catalog", "not compared", terminal.Red)
	case len(r.Catalog.Differences) == 0:
		line("catalog", fmt.Sprintf("%d namespaces, equal to the server's", *r.Catalog.Namespaces), terminal.Plain)
	}
	for _, d := range r.Catalog.Differences {
		line("catalog", d, terminal.Red)
	}
	for _, u := range r.Catalog.Unlisted {
		line("catalog", u, terminal.Yellow)
	}
}

func (r Report) writePrivileges(line line) {
	for _, d := range []struct {
		deployment privileges.Deployment
		name       string
	}{{privileges.Tailed, "the replica set"}, {privileges.Sink, "the sink"}} {
		if !r.here[d.deployment] {
			line("privileges", notKnown+" on "+d.name, terminal.Red)
		}
	}
	if r.knows(FactPrivileges) && len(r.Missing) == 0 {
		line("privileges", "none is missing", terminal.Plain)
	}
	for _, m := range r.Missing {
		if len(m.Privileges) > len(m.Optional) {
			line("privileges", "missing: see below", terminal.Red)
		}
		for _, o := range m.Optional {
			line("privileges", "missing, optional: "+o, terminal.Yellow)
		}
	}
}

func known(s Text) string {
	if s == "" {
		return notKnown
	}
	return terminal.Escape(string(s))
}

func stamp(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

// span writes seconds as days, hours, minutes and seconds, the first two that count.
func span(seconds int64) string {
	if seconds == 0 {
		return "0 s"
	}
	var parts []string
	for _, unit := range []struct {
		name   string
		length int64
	}{{"d", 86400}, {"h", 3600}, {"min", 60}, {"s", 1}} {
		if n := seconds / unit.length; n > 0 && len(parts) < 2 {
			parts = append(parts, fmt.Sprintf("%d %s", n, unit.name))
		}
		seconds %= unit.length
	}
	return strings.Join(parts, " ")
}
