package notify_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.uber.org/goleak"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/notify"
	"github.com/ddltail/ddltail/test/mongotest"
)

var set *mongotest.ReplicaSet

func TestMain(m *testing.M) { goleak.VerifyTestMain(mongotest.Main{Tests: m, Set: &set}) }

// TestDocument compares what is written with what consumers know, by name, order,
// type and value.
func TestDocument(t *testing.T) {
	db := mongotest.Connect(t, set.URI()).Database(t.Name())
	for _, c := range []struct {
		change notify.Change
		want   string
	}{
		{
			notify.Change{Operation: "CREATE_COLLECTION", Collection: "payments"},
			`{"operation":"CREATE_COLLECTION","collection":"payments","operation_statement":"CREATE COLLECTION payments","processed":false,"source":"manual"}`,
		},
		{
			notify.Change{Operation: "CREATE_INDEX", Collection: "transactions", Index: "amount_idx", Database: "banking_db"},
			`{"operation":"CREATE_INDEX","collection":"transactions","index_name":"amount_idx","operation_statement":"CREATE INDEX transactions amount_idx",` +
				`"processed":false,"database":"banking_db","ns":"banking_db.transactions","source":"manual"}`,
		},
		{
			notify.Change{Operation: "DROP_COLLECTION", Collection: "pay\n\"ments", Statement: ""},
			`{"operation":"DROP_COLLECTION","collection":"pay\n\"ments","operation_statement":"DROP COLLECTION \"pay\\n\\\"ments\"","processed":false,"source":"manual"}`,
		},
		{
			notify.Change{Operation: "RENAME_COLLECTION", Collection: "a", Database: "d", To: "d.b", Statement: "mine"},
			`{"operation":"RENAME_COLLECTION","collection":"a","operation_statement":"mine","processed":false,"database":"d","ns":"d.a","to":"d.b","source":"manual"}`,
		},
		{
			notify.Change{Operation: "DROP_DATABASE", Database: "d"},
			`{"operation":"DROP_DATABASE","operation_statement":"DROP DATABASE d","processed":false,"database":"d","ns":"d","source":"manual"}`,
		},
	} {
		before := float64(time.Now().UnixMilli()) / 1000
		if err := notify.SchemaChange(t.Context(), db, c.change); err != nil {
			t.Fatal(err)
		}
		check(t, db, c.want, before)
	}
}

// check looks at the only document there is, and takes it away.
func check(t *testing.T, db *mongo.Database, want string, before float64) {
	t.Helper()
	doc, err := db.Collection("schema_notifications").FindOneAndDelete(t.Context(), bson.D{}).Raw()
	if err != nil {
		t.Fatal(err)
	}
	at, ok := doc.Lookup("timestamp").DoubleOK()
	if now := float64(time.Now().UnixMilli()) / 1000; !ok || at < before || at > now {
		t.Errorf("timestamp %s", doc.Lookup("timestamp"))
	}
	if _, ok := doc.Lookup("_id").ObjectIDOK(); !ok {
		t.Errorf("_id %s", doc.Lookup("_id"))
	}
	var rest, all bson.D
	if err := bson.Unmarshal(doc, &all); err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if e.Key != "_id" && e.Key != "timestamp" {
			rest = append(rest, e)
		}
	}
	if got, err := bson.MarshalExtJSON(rest, false, false); err != nil || string(got) != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
}

// TestInTransaction writes a notification with the data that belongs to it, or not
// at all.
func TestInTransaction(t *testing.T) {
	client := mongotest.Connect(t, set.URI())
	db := client.Database(t.Name())
	for _, name := range []string{"schema_notifications", "data"} {
		if err := db.CreateCollection(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	session, err := client.StartSession()
	if err != nil {
		t.Fatal(err)
	}
	defer session.EndSession(t.Context())
	cut := errors.New("cut")
	for _, c := range []struct {
		end  error
		want int64
	}{{cut, 0}, {nil, 1}} {
		_, err := session.WithTransaction(t.Context(), func(ctx context.Context) (any, error) {
			if err := notify.SchemaChange(ctx, db, notify.Change{Operation: "CREATE_COLLECTION", Collection: "c"}); err != nil {
				return nil, err
			}
			return nil, c.end
		})
		if !errors.Is(err, c.end) {
			t.Fatal(err)
		}
		if n, err := db.Collection("schema_notifications").CountDocuments(t.Context(), bson.D{}); err != nil || n != c.want {
			t.Errorf("%d notifications, %v, want %d", n, err, c.want)
		}
	}
}

func TestInvalid(t *testing.T) {
	for _, c := range []notify.Change{
		{},
		{Operation: "CREATE_TABLE", Collection: "c"},
		{Operation: "create_collection", Collection: "c"},
		{Operation: "CREATE_COLLECTION"},
		{Operation: "CREATE_COLLECTION", Collection: "c", Index: "i"},
		{Operation: "CREATE_COLLECTION", Collection: "c", To: "d.c"},
		{Operation: "CREATE_INDEX", Collection: "c"},
		{Operation: "DROP_INDEX", Index: "i"},
		{Operation: "RENAME_COLLECTION", Collection: "c"},
		{Operation: "RENAME_COLLECTION", Collection: "c", To: "c2"},
		{Operation: "RENAME_COLLECTION", Collection: "c", To: ".c2"},
		{Operation: "DROP_DATABASE"},
		{Operation: "DROP_DATABASE", Collection: "c", Database: "d"},
	} {
		var invalid *notify.InvalidError
		// There is no database to query.
		if err := notify.SchemaChange(t.Context(), nil, c); !errors.As(err, &invalid) || invalid.Reason == "" {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestEveryOperation sees that each operation can be notified.
func TestEveryOperation(t *testing.T) {
	for _, op := range notification.Operations() {
		c := notify.Change{Operation: string(op), Collection: "c"}
		switch {
		case op.OnIndex():
			c.Index = "i"
		case op == notification.RenameCollection:
			c.To = "d.b"
		case op == notification.DropDatabase:
			c.Collection, c.Database = "", "d"
		}
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", op, err)
		}
	}
}
