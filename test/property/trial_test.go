package property

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/test/ddlgen"
	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"
)

func databases() []string { return []string{"one", "it's"} }

// laboratory has the servers of all trials: one that ddltail follows, and one on which
// the statements are replayed.
type laboratory struct {
	*testing.T
	binary, shell  string
	set, other     *mongotest.ReplicaSet
	client, replay *mongo.Client
	// trials counts them; each has a queue of its own.
	trials *int
}

func newLaboratory(t *testing.T, binary string) *laboratory {
	shell, err := mongotest.Mongosh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l := &laboratory{T: t, binary: binary, shell: shell, trials: new(int)}
	l.set, l.other = mongotest.NewReplicaSet(t, mongotest.Options{}), mongotest.NewReplicaSet(t, mongotest.Options{})
	l.client, l.replay = mongotest.Connect(t, l.set.URI()), mongotest.Connect(t, l.other.URI())
	return l
}

// outcome is the result of a list of operations.
type outcome struct {
	// wrong holds the failures; empty if there are none.
	wrong                                  []string
	refused, published, namespaces, undone int
}

// try runs operations on empty servers with a new ddltail, and compares.
func (l *laboratory) try(ops []ddlgen.Operation) outcome {
	*l.trials++
	l.empty(l.client)
	queue := fmt.Sprintf("queue_%d", *l.trials)
	p, err := ddltailtest.Start(l.binary, []string{"run"}, "DDLTAIL_MONGODB_URI="+l.set.URI(), "DDLTAIL_DATABASE="+queue,
		"DDLTAIL_SOURCE="+queue, "DDLTAIL_NAMESPACES="+strings.Join(databases(), ".*,")+".*")
	l.must(err)
	defer p.Close()
	l.must(p.WaitReady(l.Context()))
	var o outcome
	for i, op := range ops {
		if op.Run(l.Context(), l.client) == nil {
			continue
		}
		o.refused++
		if err := l.alive(); err != nil {
			o.wrong = append(o.wrong, fmt.Sprintf("the server does not survive operation %d, %s: %v", i, op, err))
			return o
		}
	}
	docs, err := l.notifications(queue)
	if err != nil {
		o.wrong = append(o.wrong, err.Error(), p.Stderr())
		return o
	}
	l.compare(docs, &o)
	return o
}

func (l *laboratory) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

func (l *laboratory) alive() error { return ddlgen.Alive(l.Context(), l.client) }

func (l *laboratory) empty(client *mongo.Client) {
	for _, db := range databases() {
		l.must(client.Database(db).Drop(l.Context()))
	}
}

// compare compares the server with the schema that follows from the notifications, and
// with a server on which their statements were run.
func (l *laboratory) compare(docs []bson.Raw, o *outcome) {
	folded := ddlgen.Schema{}
	for _, doc := range docs {
		o.wrong = append(o.wrong, folded.Apply(doc)...)
		_, err := doc.LookupErr("mongosh")
		if op := doc.Lookup("operation").StringValue(); err != nil && op != "ABORT_INDEX_BUILD" {
			o.wrong = append(o.wrong, "no statement: "+doc.String())
		}
	}
	have := ddlgen.Listed(l.Context(), l.T, l.client, databases())
	o.published, o.namespaces = len(docs), len(have)
	o.wrong = append(o.wrong, ddlgen.Differences("folded from the notifications", folded, have)...)

	l.empty(l.replay)
	o.wrong = append(o.wrong, l.mongosh(statements(docs))...)
	o.wrong = append(o.wrong, ddlgen.Differences("replayed", ddlgen.Listed(l.Context(), l.T, l.replay, databases()), have)...)

	l.empty(l.replay)
	script, undone := undoing(docs)
	o.undone = undone
	o.wrong = append(o.wrong, l.mongosh(script)...)
	o.wrong = append(o.wrong, ddlgen.Differences("undone and done again", ddlgen.Listed(l.Context(), l.T, l.replay, databases()), have)...)
}

// notifications makes a last change, waits until it is reported, and returns all
// notifications before it.
func (l *laboratory) notifications(queue string) ([]bson.Raw, error) {
	if err := l.client.Database("one").CreateCollection(l.Context(), "the_last"); err != nil {
		return nil, err
	}
	coll := l.client.Database(queue).Collection("schema_notifications")
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if coll.FindOne(l.Context(), bson.D{{Key: "ns", Value: "one.the_last"}}).Err() == nil {
			break
		}
		if time.Now().After(end) {
			return nil, errors.New("the last change was not notified")
		}
	}
	cur, err := coll.Find(l.Context(), bson.D{{Key: "operation", Value: bson.D{{Key: "$exists", Value: true}}}},
		options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}))
	if err != nil {
		return nil, err
	}
	var docs []bson.Raw
	return docs, cur.All(l.Context(), &docs)
}

func statements(docs []bson.Raw) string {
	var script strings.Builder
	for _, doc := range docs {
		text, _ := doc.Lookup("mongosh").StringValueOK()
		script.WriteString(text + "\n")
	}
	return script.String()
}

// mongosh runs a script with mongosh on the second server. Each line of its output is a
// failure.
func (l *laboratory) mongosh(script string) []string {
	home := l.TempDir()
	file := filepath.Join(home, "replay.js")
	l.must(os.WriteFile(file, []byte(script), 0o600))
	ctx, cancel := context.WithTimeout(l.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, l.shell, l.other.URI(), "--quiet", "--norc", "--file", file)
	cmd.Env = append(os.Environ(), "HOME="+home)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return []string{fmt.Sprintf("mongosh: %v\n%s", err, out)}
	}
	if text := strings.TrimSpace(string(out)); text != "" {
		return []string{text}
	}
	return nil
}
