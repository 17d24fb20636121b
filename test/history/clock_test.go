package history

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/test/ddlgen"
	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"
)

// TestClockSetBack sets the clock of the only member an hour ahead and back. Each change
// depends on the previous one, so that only one order is right.
func TestClockSetBack(t *testing.T) {
	clock := mongotest.NewClock(t)
	rs := mongotest.NewReplicaSet(t, mongotest.Options{Clock: clock})
	client := mongotest.Connect(t, rs.URI())
	db := client.Database("one")
	at := []string{"DDLTAIL_MONGODB_URI=" + rs.URI(), "DDLTAIL_DATABASE=audit"}
	start(t, at...)

	for _, collection := range []string{"kept", "renamed"} {
		done(t, db.CreateCollection(t.Context(), collection))
	}
	before := wallOf(t, client)
	setClock(t, client, clock, time.Hour)
	done(t, db.RunCommand(t.Context(), bson.D{{Key: "create", Value: "ahead"}}).Err())
	done(t, client.Database("admin").RunCommand(t.Context(),
		bson.D{{Key: "renameCollection", Value: "one.renamed"}, {Key: "to", Value: "one.again"}}).Err())
	_, err := db.Collection("ahead").Indexes().CreateOne(t.Context(), mongo.IndexModel{Keys: bson.D{{Key: "a", Value: 1}}})
	done(t, err)
	setClock(t, client, clock, 0)
	done(t, db.Collection("again").Drop(t.Context()))
	done(t, db.Collection("ahead").Indexes().DropOne(t.Context(), "a_1"))
	done(t, db.Collection("ahead").Drop(t.Context()))
	done(t, db.CreateCollection(t.Context(), "again"))
	// The journal thread of 4.4 waits by the wall clock: after that was set back, only a journaled write is majority-committed.
	done(t, db.RunCommand(t.Context(), bson.D{{Key: "create", Value: "last"}, {Key: "writeConcern", Value: bson.D{{Key: "w", Value: "majority"}}}}).Err())

	want := []string{
		"CREATE_COLLECTION kept", "CREATE_COLLECTION renamed", "CREATE_COLLECTION ahead", "RENAME_COLLECTION renamed", "CREATE_INDEX ahead",
		"DROP_COLLECTION again", "DROP_INDEX ahead", "DROP_COLLECTION ahead", "CREATE_COLLECTION again", "CREATE_COLLECTION last",
	}
	queue := client.Database("audit").Collection("schema_notifications")
	wait(t, "the notifications", func() bool {
		n, err := queue.CountDocuments(t.Context(), bson.D{{Key: "database", Value: "one"}})
		return err == nil && n == int64(len(want))
	})
	if got := lines(t, command{[]string{"history", "--format", "json"}, at}.ok(t)); !slices.Equal(got, want) {
		t.Errorf("history lists\n%q\nwant\n%q", got, want)
	}
	empty := mongotest.NewReplicaSet(t, mongotest.Options{})
	shell(t, empty.URI(), command{[]string{"history", "--format", "mongosh"}, at}.ok(t))
	dbs := []string{"one"}
	ddlgen.Compare(t, "the script of the list", ddlgen.Listed(t.Context(), t, mongotest.Connect(t, empty.URI()), dbs), ddlgen.Listed(t.Context(), t, client, dbs))

	untilBefore := []string{"--until", before.Format(time.RFC3339Nano), "--format", "json"}
	stdout, stderr, _ := command{append([]string{"history"}, untilBefore...), at}.run(t)
	if got := lines(t, stdout); !slices.Equal(got, want[:2]) || strings.Contains(stderr, "set back") {
		t.Errorf("until before: %q %s", got, stderr)
	}
	now := wallOf(t, client).Format(time.RFC3339Nano)
	stdout, stderr, _ = command{[]string{"history", "--until", now, "--format", "json"}, at}.run(t)
	if got := lines(t, stdout); !slices.Equal(got, want[:2]) || !strings.Contains(stderr, "the clock of rs0 was set back") {
		t.Errorf("until now: %q %s", got, stderr)
	}
	out := command{[]string{"history", "--as-of", now}, at}.ok(t)
	contains(t, out, "one.renamed", "one.kept", "the clock of rs0 was set back")
	containsNot(t, out, "one.last", "one.ahead")

	listener, err := ddltailtest.Start(binary, []string{"listen", "--stdout"}, at...)
	done(t, err)
	t.Cleanup(func() {
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
	})
	wait(t, "the deliveries", func() bool { return strings.Count(listener.Stdout(), `"database":"one"`) == len(want) })
	delivered := lines(t, listener.Stdout())
	for _, collection := range []string{"ahead", "again", "renamed"} {
		of := func(all []string) []string {
			return slices.DeleteFunc(slices.Clone(all), func(line string) bool { return !strings.HasSuffix(line, " "+collection) })
		}
		if !slices.Equal(of(delivered), of(want)) {
			t.Errorf("of %s listen delivers %q", collection, of(delivered))
		}
	}
	renamed, dropped := slices.Index(delivered, "RENAME_COLLECTION renamed"), slices.Index(delivered, "DROP_COLLECTION again")
	if renamed > dropped {
		t.Errorf("the drop is delivered before the rename: %q", delivered)
	}
}

// lines returns the changes of the database "one" in a JSON output.
func lines(t *testing.T, text string) []string {
	t.Helper()
	out := []string{}
	for line := range strings.Lines(text) {
		var doc struct{ Operation, Collection, Database string }
		if err := json.Unmarshal([]byte(line), &doc); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if doc.Database == "one" {
			out = append(out, doc.Operation+" "+doc.Collection)
		}
	}
	return out
}

func done(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wait(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// wallOf returns the time of the server's clock.
func wallOf(t *testing.T, client *mongo.Client) time.Time {
	t.Helper()
	var reply struct {
		LocalTime time.Time `bson:"localTime"`
	}
	done(t, client.Database("admin").RunCommand(t.Context(), bson.D{{Key: "hello", Value: 1}}).Decode(&reply))
	return reply.LocalTime
}

// setClock sets the clock and waits until the server shows it.
func setClock(t *testing.T, client *mongo.Client, clock mongotest.Clock, offset time.Duration) {
	t.Helper()
	clock.Set(t, offset)
	wait(t, "the server's clock", func() bool {
		return time.Until(wallOf(t, client).Add(-offset)).Abs() < time.Minute
	})
}
