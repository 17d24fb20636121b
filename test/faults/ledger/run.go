package ledger

import (
	"bufio"
	"fmt"
	"io"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Lost is what a fault removed permanently, so that some changes cannot be reported from the oplog.
type Lost string

// The kinds of loss.
const (
	// Nothing: every change is reported from the oplog, and nothing is inferred.
	Nothing Lost = ""
	// Truncated: oplog entries were truncated before they were read.
	Truncated Lost = "truncated"
	// Replaced: the set has another history than before, from a restored backup or a recreated set.
	Replaced Lost = "replaced"
	// Position: the checkpoint document was deleted; the oplog still holds every change.
	Position Lost = "position"
	// Unlogged: some changes are in no oplog, such as an index built member by member.
	Unlogged Lost = "unlogged"
)

// Header describes the run.
type Header struct {
	Test   string    `bson:"test"`
	At     time.Time `bson:"at"`
	Server string    `bson:"server,omitempty"`
	// Source is the first part of every _id; Database holds ddltail's own collections.
	Source   string `bson:"source"`
	Database string `bson:"database"`
	// After and UpTo bound the part of the oplog that belongs to the run.
	After bson.Timestamp `bson:"after"`
	UpTo  bson.Timestamp `bson:"up_to"`
	Lost  Lost           `bson:"lost,omitempty"`
	Sinks []Sink         `bson:"sinks"`
	// Unrecorded are databases in which the client changed something without recording it.
	Unrecorded []string `bson:"unrecorded,omitempty"`
	// Listing is true if the run contains the server's listing at its end.
	Listing bool `bson:"listing,omitempty"`
	// Halves are time series of which only the buckets exist, as after a step-down between the two halves of their creation. The
	// server does not list them.
	Halves []string `bson:"halves,omitempty"`
}

// Names of ddltail's own collections in a Run.
const (
	Queue       = "queue"
	History     = "history"
	Catalog     = "catalog"
	Checkpoints = "checkpoints"
)

// Sink is a destination of notifications.
type Sink struct {
	Name string `bson:"name"`
	// Repeats is true if a consumer may receive a notification again, with its successors, after it received later ones.
	Repeats bool `bson:"repeats,omitempty"`
	// Partial is true for a sink that does not have to receive everything.
	Partial bool `bson:"partial,omitempty"`
}

// Action is the kind of a write.
type Action string

// The actions.
const (
	// Insert stores a notification, or a version of the catalog.
	Insert Action = "insert"
	// Process marks a notification as processed.
	Process Action = "process"
	// Remove removes a document.
	Remove Action = "remove"
	// Drop drops or renames away the whole collection.
	Drop Action = "drop"
	// Advance stores a position in the checkpoint.
	Advance Action = "advance"
)

// Write is one write to a sink, to the catalog or to the checkpoint.
type Write struct {
	Sink   string `bson:"sink"`
	Action Action `bson:"action"`
	// Written is its timestamp in the oplog of the sink's deployment; zero if it has no oplog, or if the entry was truncated. Writes
	// without one are first, in the order in which the sink returns them.
	Written bson.Timestamp `bson:"written,omitempty"`
	At      time.Time      `bson:"at,omitempty"`
	ID      string         `bson:"id,omitempty"`
	// Position is the optime of a checkpoint or of a catalog version.
	Position OpTime `bson:"position,omitempty"`
	// Inclusive is true if the entry at the checkpoint's position is still to be published.
	Inclusive bool `bson:"inclusive,omitempty"`
	// Listed is true for a catalog version from a listing.
	Listed bool `bson:"listed,omitempty"`
	// Document is the inserted document; nil if only the _id is known.
	Document bson.Raw `bson:"document,omitempty"`
}

func (w Write) String() string {
	return fmt.Sprintf("%s %s %s at %v, inclusive %t, listed %t", w.Sink, w.Action, w.ID, w.Position, w.Inclusive, w.Listed)
}

// Namespace is a collection or view as the server lists it.
type Namespace struct {
	NS      string            `bson:"ns"`
	Options string            `bson:"options"`
	Indexes map[string]string `bson:"indexes,omitempty"`
}

// Run is the record of one run.
type Run struct {
	Header
	Statements []Statement
	// Changes are those in the oplog, in its order.
	Changes []Change
	// Writes are in the order in which they were made, as far as it is known.
	Writes []Write
	// Listed is the server's catalog at the end.
	Listed []Namespace
}

// line is one line of the file; exactly one field is set.
type line struct {
	Run    *Header    `bson:"run,omitempty"`
	Client *Statement `bson:"client,omitempty"`
	Oplog  *Change    `bson:"oplog,omitempty"`
	Write  *Write     `bson:"write,omitempty"`
	Listed *Namespace `bson:"listed,omitempty"`
}

// WriteTo writes the run as lines of relaxed Extended JSON.
func (r Run) WriteTo(w io.Writer) (int64, error) {
	out := &counter{w: bufio.NewWriter(w)}
	out.put(line{Run: &r.Header})
	for _, s := range r.Statements {
		out.put(line{Client: &s})
	}
	for _, c := range r.Changes {
		out.put(line{Oplog: &c})
	}
	for _, write := range r.Writes {
		out.put(line{Write: &write})
	}
	for _, n := range r.Listed {
		out.put(line{Listed: &n})
	}
	if out.err == nil {
		out.err = out.w.Flush()
	}
	if out.err != nil {
		return out.n, fmt.Errorf("write the run %s: %w", r.Test, out.err)
	}
	return out.n, nil
}

// counter writes lines and counts their bytes, until one fails.
type counter struct {
	w   *bufio.Writer
	n   int64
	err error
}

func (c *counter) put(l line) {
	if c.err != nil {
		return
	}
	var text []byte
	if text, c.err = bson.MarshalExtJSON(l, false, false); c.err != nil {
		return
	}
	n, err := c.w.Write(append(text, '\n'))
	c.n, c.err = c.n+int64(n), err
}

// maxLine bounds a line: a notification has at most 16 MB, which JSON multiplies.
const maxLine = 128 << 20

// ReadRun reads the file of a run. Only the order of lines of the same kind matters.
func ReadRun(r io.Reader) (Run, error) {
	var run Run
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	headers := 0
	for n := 1; lines.Scan(); n++ {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var l line
		if err := bson.UnmarshalExtJSON(lines.Bytes(), false, &l); err != nil {
			return Run{}, fmt.Errorf("line %d: %w", n, err)
		}
		switch {
		case l.Run != nil:
			run.Header = *l.Run
			headers++
		case l.Client != nil:
			run.Statements = append(run.Statements, *l.Client)
		case l.Oplog != nil:
			run.Changes = append(run.Changes, *l.Oplog)
		case l.Write != nil:
			run.Writes = append(run.Writes, *l.Write)
		case l.Listed != nil:
			run.Listed = append(run.Listed, *l.Listed)
		default:
			return Run{}, fmt.Errorf("line %d is none of run, client, oplog, write and listed: %.100s", n, lines.Bytes())
		}
	}
	if err := lines.Err(); err != nil {
		return Run{}, fmt.Errorf("read a run: %w", err)
	}
	if headers != 1 {
		return Run{}, fmt.Errorf("%d header lines, want 1", headers)
	}
	return run, nil
}
