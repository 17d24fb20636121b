// Package sinktest is the test suite that every sink passes.
package sinktest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/sink"
)

// Target is an empty target of a sink.
type Target struct {
	// Open returns a sink on the target as a new process has it, after its Setup.
	Open func(t *testing.T) sink.Sink
	// Read returns what the target holds as JSON, in its order, copies of renames left out. It
	// waits until the target holds the document with the last id.
	Read func(t *testing.T, last string) []string
	// Once is true if a document that is written again is not stored again.
	Once bool
	// Kill and Restart stop and start the server behind the target; nil if it has none.
	Kill, Restart func() error
	// Pause and Resume do the same without closing connections.
	Pause, Resume func() error
	// OpenRefusing returns a sink whose target refuses messages that the sink's own limit
	// allows; nil if no such target exists. Refused returns how many were reported.
	OpenRefusing func(t *testing.T) sink.Sink
	Refused      func() int
	// Limit is the largest document that the target may hold; 0 for any.
	Limit int
}

// cancelLimit is how soon a write must end after its context.
const cancelLimit = 2 * time.Second

// Run runs the suite; each test gets a target of its own.
func Run(t *testing.T, newTarget func(t *testing.T) Target) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Target)
	}{
		{"order", order},
		{"repeat after a kill", repeated},
		{"outage", outage},
		{"slow", slow},
		{"cancelled", cancelled},
		{"large documents", large},
		{"refused documents", refused},
		{"names", names},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, newTarget(t)) })
	}
}

// Documents returns n documents whose ids begin after the given number.
func Documents(after, n int) []notification.Document {
	docs := make([]notification.Document, n)
	for i := range docs {
		docs[i] = Document(after+1+i, notification.Change{
			Operation: notification.CreateCollection, Database: "shop", Collection: "payments",
			Statement: "CREATE COLLECTION payments",
		})
	}
	return docs
}

// Document returns the document of a change at a place in the oplog.
func Document(at int, c notification.Change) notification.Document {
	c.OpTime = oplog.OpTime{TS: bson.Timestamp{T: 1_700_000_000, I: uint32(at)}, Term: 1}
	c.Wall = time.Unix(1_700_000_000, 0)
	return notification.NewDocument(c, notification.Origin{Source: "rs0", ReplicaSet: "rs0"}, c.Wall)
}

// IDs returns the ids of documents.
func IDs(docs []notification.Document) []string {
	ids := make([]string, len(docs))
	for i, d := range docs {
		ids[i] = d.ID
	}
	return ids
}

// Rising leaves out every id that is not above the last one: what a consumer does that wants
// each change once.
func Rising(ids []string) []string {
	var rising []string
	for _, id := range ids {
		if len(rising) == 0 || id > rising[len(rising)-1] {
			rising = append(rising, id)
		}
	}
	return rising
}

// write writes to a sink with time to spare.
func write(t *testing.T, s sink.Sink, docs ...notification.Document) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	for {
		err := s.Write(ctx, docs)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("not written: %v", err)
		}
		t.Logf("written again: %v", err)
		time.Sleep(500 * time.Millisecond)
	}
}

// holds checks which documents the target holds. What is stored twice counts once, unless the
// target stores nothing twice.
func holds(t *testing.T, target Target, want []notification.Document) {
	t.Helper()
	var got []string
	for _, text := range target.Read(t, want[len(want)-1].ID) {
		got = append(got, idOf(t, text))
	}
	if !target.Once {
		got = Rising(got)
	}
	if !slices.Equal(got, IDs(want)) {
		t.Errorf("got %d documents\n%s\nwant %d\n%s", len(got), strings.Join(got, "\n"), len(want), strings.Join(IDs(want), "\n"))
	}
}

func idOf(t *testing.T, text string) string {
	t.Helper()
	id, _ := fields(t, text)["_id"].(string)
	return id
}

func fields(t *testing.T, text string) map[string]any {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatalf("%.200s: %v", text, err)
	}
	return doc
}

func order(t *testing.T, target Target) {
	docs := Documents(0, 1200)
	s := target.Open(t)
	for chunk := range slices.Chunk(docs, 500) {
		write(t, s, chunk...)
	}
	holds(t, target, docs)
}

func repeated(t *testing.T, target Target) {
	docs := Documents(0, 30)
	write(t, target.Open(t), docs[:20]...)
	// Another process begins before the end of what the killed one wrote.
	write(t, target.Open(t), docs[5:30]...)
	holds(t, target, docs)
}

func outage(t *testing.T, target Target) {
	if target.Kill == nil {
		t.Skip("no server behind it")
	}
	docs := Documents(0, 30)
	s := target.Open(t)
	write(t, s, docs[:10]...)
	must(t, target.Kill())
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if err := s.Write(ctx, docs[10:20]); err == nil {
		t.Error("written while the server was down")
	}
	must(t, target.Restart())
	write(t, s, docs[10:20]...)
	write(t, s, docs[20:]...)
	holds(t, target, docs)
}

func slow(t *testing.T, target Target) {
	if target.Pause == nil {
		t.Skip("nothing to pause")
	}
	docs := Documents(0, 20)
	s := target.Open(t)
	write(t, s, docs[:10]...)
	must(t, target.Pause())
	var wg sync.WaitGroup
	wg.Go(func() { write(t, s, docs[10:]...) })
	time.Sleep(time.Second)
	must(t, target.Resume())
	wg.Wait()
	holds(t, target, docs)
}

func cancelled(t *testing.T, target Target) {
	if target.Pause == nil {
		t.Skip("nothing to pause")
	}
	docs := Documents(0, 20)
	s := target.Open(t)
	write(t, s, docs[:10]...)
	must(t, target.Pause())
	// The first write has a connection, the second has to open one.
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		began := time.Now()
		err := s.Write(ctx, docs[10:])
		took := time.Since(began)
		cancel()
		if err == nil {
			t.Error("written while the server was paused")
		}
		if took > 300*time.Millisecond+cancelLimit {
			t.Errorf("the write ended %s after its context", took-300*time.Millisecond)
		}
	}
	must(t, target.Resume())
	write(t, s, docs[10:]...)
	holds(t, target, docs)
}

// largeChange is a change whose definition is much larger than a broker's limit.
func largeChange(size int) notification.Change {
	raw, err := bson.Marshal(bson.D{{Key: "validator", Value: strings.Repeat("é", size/2)}})
	if err != nil {
		panic(err)
	}
	return notification.Change{
		Operation: notification.ModifyCollection, Database: "shop", Collection: "payments",
		Statement: "x" + strings.Repeat("é", size/2), Mongosh: strings.Repeat("m", size), Undo: "db.undo()", Before: raw, After: raw,
	}
}

func large(t *testing.T, target Target) {
	docs := append(Documents(0, 2), Document(3, largeChange(4<<20)), Documents(3, 1)[0])
	write(t, target.Open(t), docs...)
	holds(t, target, docs)
	for _, text := range target.Read(t, docs[3].ID) {
		if target.Limit > 0 && len(text) > target.Limit {
			t.Errorf("a document of %d bytes, the limit is %d", len(text), target.Limit)
		}
		if doc := fields(t, text); doc["_id"] == docs[2].ID {
			for _, field := range []string{"operation", "collection", "operation_statement", "timestamp", "ns", "undo"} {
				if doc[field] == nil && (field != "undo" || target.Limit == 0) {
					t.Errorf("%s is missing: %v", field, doc["truncated"])
				}
			}
			if target.Limit > 0 && fmt.Sprint(doc["truncated"]) != "[before after mongosh undo operation_statement]" {
				t.Errorf("truncated is %v", doc["truncated"])
			}
		}
	}
}

func refused(t *testing.T, target Target) {
	if target.OpenRefusing == nil {
		t.Skip("no target that refuses documents")
	}
	docs := append(Documents(0, 2), Document(3, largeChange(200<<10)), Documents(3, 1)[0])
	before := target.Refused()
	write(t, target.OpenRefusing(t), docs...)
	holds(t, target, docs)
	for _, text := range target.Read(t, docs[3].ID) {
		if doc := fields(t, text); doc["_id"] == docs[2].ID {
			want := []string{"_id", "collection", "operation", "operation_statement", "processed", "timestamp"}
			var got []string
			for field := range doc {
				got = append(got, field)
			}
			if slices.Sort(got); !slices.Equal(got, want) {
				t.Errorf("the refused document has %q, want %q", got, want)
			}
		}
	}
	if n := target.Refused() - before; n != 1 {
		t.Errorf("%d documents are reported as refused, want 1", n)
	}
}

// names writes namespaces with every kind of character.
func names(t *testing.T, target Target) {
	var docs []notification.Document
	for i, name := range []string{
		strings.Repeat("n", 200), "\x01\x02\t\r\n\x7f\u0085", `a"b\c'`, "a.b.*.>", "ä ß 漢", "%41", " ", "$external", "tmp\u2028x",
	} {
		docs = append(docs, Document(i+1, notification.Change{
			Operation: notification.RenameCollection, Database: "shop", Collection: name, To: "shop." + name + "2", Statement: fmt.Sprintf("%q", name),
		}))
	}
	docs = append(docs,
		Document(len(docs)+1, notification.Change{Operation: notification.DropDatabase, Database: "shop", Statement: "DROP DATABASE"}),
		Document(len(docs)+2, notification.Change{Operation: notification.HistoryGap, Statement: "HISTORY GAP"}))
	write(t, target.Open(t), docs...)
	holds(t, target, docs)
	for i, text := range target.Read(t, docs[len(docs)-1].ID)[:len(docs)] {
		if got, _ := fields(t, text)["collection"].(string); got != docs[i].Change.Collection {
			t.Errorf("got the collection %q, want %q", got, docs[i].Change.Collection)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Report counts what sinks report.
type Report struct {
	mu                       sync.Mutex
	refused, failed, dropped int
}

// Refused implements sink.Report.
func (r *Report) Refused(string, string, error) { r.add(&r.refused, 1) }

// Failed implements sink.Report.
func (r *Report) Failed(string, error, time.Duration) { r.add(&r.failed, 1) }

// Dropped implements sink.Report.
func (r *Report) Dropped(_ string, n int, _ string) { r.add(&r.dropped, n) }

func (r *Report) add(to *int, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*to += n
}

// Counts returns how many documents were refused, how many attempts failed, and how many
// documents were dropped.
func (r *Report) Counts() (refused, failed, dropped int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refused, r.failed, r.dropped
}
