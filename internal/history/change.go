package history

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/internal/actor"
	"github.com/ddltail/ddltail/internal/mongosh"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/risk"
)

// Change is one document of the history.
type Change struct {
	ID         string
	Operation  notification.Operation
	Database   string
	Collection string
	Index      string
	Namespace  string
	To         string
	// Statement is the text that consumers show; Mongosh and Undo are empty if there are none.
	Statement, Mongosh, Undo string
	// Risk is empty for changes recorded by releases that did not store it.
	Risk risk.Level
	// Actor made the change; zero if not known.
	Actor actor.Actor
	// Wall is when the change took effect; for an inferred change see Inferred.
	Wall time.Time
	// Inferred is the interval in which a change happened that was inferred from a comparison,
	// or the interval of a HISTORY_GAP.
	Inferred Interval
	// Raw is the whole document.
	Raw bson.Raw
}

// Interval is the time between two times; the zero value means none.
type Interval struct{ From, To time.Time }

// IsZero reports whether there is none.
func (i Interval) IsZero() bool { return i.To.IsZero() }

// document has the fields of a change that are shown separately.
type document struct {
	ID         string                 `bson:"_id"`
	Operation  notification.Operation `bson:"operation"`
	Database   string                 `bson:"database"`
	Collection string                 `bson:"collection"`
	Index      string                 `bson:"index_name"`
	NS         string                 `bson:"ns"`
	To         bson.RawValue          `bson:"to"`
	Statement  string                 `bson:"operation_statement"`
	Mongosh    string                 `bson:"mongosh"`
	Undo       string                 `bson:"undo"`
	Risk       risk.Level             `bson:"risk"`
	Actor      actor.Actor            `bson:"actor"`
	Timestamp  float64                `bson:"timestamp"`
	Wall       time.Time              `bson:"wall"`
	NotBefore  time.Time              `bson:"not_before"`
	NotAfter   time.Time              `bson:"not_after"`
	From       end                    `bson:"from"`
}

// end is one end of a gap.
type end struct {
	Wall time.Time `bson:"wall"`
}

// decodeChange decodes a document and copies its bytes, which the cursor will overwrite.
func decodeChange(raw bson.Raw) (Change, error) {
	raw = append(bson.Raw(nil), raw...)
	var d document
	if err := bson.Unmarshal(raw, &d); err != nil {
		return Change{}, fmt.Errorf("decode a document of the history: %w", err)
	}
	c := Change{
		ID: d.ID, Operation: d.Operation, Database: d.Database, Collection: d.Collection, Index: d.Index, Namespace: d.NS,
		Statement: d.Statement, Mongosh: d.Mongosh, Undo: d.Undo, Risk: d.Risk, Actor: d.Actor, Wall: d.Wall, Raw: raw,
	}
	c.To, _ = d.To.StringValueOK()
	if c.Wall.IsZero() {
		c.Wall = time.UnixMilli(int64(d.Timestamp*1000 + 0.5))
	}
	c.Inferred = Interval{From: d.NotBefore, To: d.NotAfter}
	if d.Operation == notification.HistoryGap {
		var to end
		if err := d.To.Unmarshal(&to); err != nil {
			return Change{}, fmt.Errorf("decode the gap %s: %w", d.ID, err)
		}
		c.Inferred = Interval{From: d.From.Wall, To: to.Wall}
	}
	return c, nil
}

// eachChange decodes every document of a cursor.
func eachChange(ctx context.Context, cur *mongo.Cursor, take func(Change) error) error {
	defer cur.Close(context.WithoutCancel(ctx))
	for cur.Next(ctx) {
		c, err := decodeChange(cur.Current)
		if err != nil {
			return err
		}
		if err := take(c); err != nil {
			return err
		}
	}
	if err := cur.Err(); err != nil {
		return fmt.Errorf("read the history: %w", err)
	}
	return nil
}

// Source is the first part of the _id.
func (c Change) Source() string {
	source, _, _ := strings.Cut(c.ID, ":")
	return source
}

// Subject returns the changed object in human-readable form.
func (c Change) Subject() string {
	if c.Operation == notification.HistoryGap {
		return "between " + stamp(c.Inferred.From) + " and " + stamp(c.Inferred.To)
	}
	return c.Namespace
}

// stampLayout is the form of a time in a table, in local time.
const stampLayout = "2006-01-02 15:04:05"

func stamp(t time.Time) string { return t.Local().Format(stampLayout) }

// Short returns the statement without the namespace and the method, which other columns show.
func (c Change) Short() string {
	if c.Mongosh == "" {
		if c.Operation == notification.HistoryGap {
			return ""
		}
		return c.Statement
	}
	text := strings.TrimPrefix(c.Mongosh, mongosh.Collection(c.Database, c.Collection)+".")
	text = strings.TrimPrefix(text, mongosh.DB(c.Database)+".")
	if text == "drop()" || text == "dropDatabase()" {
		return ""
	}
	name := mongosh.Quote(c.Collection)
	for _, said := range []struct{ begin, end, put string }{
		{"runCommand({collMod: " + name + ", ", ")", "{"},
		{"createCollection(" + name + ", ", ")", ""},
		{"createCollection(" + name, ")", ""},
		{"createView(" + name + ", ", ")", ""},
		{"createIndex(", ")", ""},
		{"dropIndex(", ")", ""},
		{"renameCollection(", ")", "to "},
	} {
		if rest, ok := strings.CutPrefix(text, said.begin); ok && strings.HasSuffix(rest, said.end) {
			return said.put + strings.TrimSuffix(rest, said.end)
		}
	}
	return text
}

// ShortID returns the short form of the _id, which `history show` accepts.
func (c Change) ShortID(withSource bool) string {
	id, err := notification.ParseID(c.ID)
	if err != nil {
		return c.ID
	}
	return id.Short(withSource)
}
