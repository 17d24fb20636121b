// Package actor_test tests on real servers how actors are found.
package actor_test

import (
	"net/url"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/internal/actor"
	"github.com/ddltail/ddltail/internal/actor/getlog"
	"github.com/ddltail/ddltail/test/mongotest"
)

func dial(t *testing.T, uri, app string) *mongo.Client {
	t.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(uri).SetAppName(app).SetDirect(true).SetMaxPoolSize(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Disconnect(t.Context()) })
	return client
}

// TestGetLog drops collections as two users, one of whom connected before the log was first read and whose log lines were
// therefore missed.
func TestGetLog(t *testing.T) {
	for _, version := range []string{"", "4.4.2"} {
		t.Run("version "+version, func(t *testing.T) {
			set := mongotest.NewReplicaSet(t, mongotest.Options{Auth: true, Version: version})
			root := mongotest.Connect(t, set.URI())
			users := []string{"ann", `b@b"ü`}
			clients := map[string]*mongo.Client{}
			for _, user := range users {
				err := root.Database("admin").RunCommand(t.Context(), bson.D{
					{Key: "createUser", Value: user}, {Key: "pwd", Value: "x"}, {Key: "roles", Value: bson.A{"root"}},
				}).Err()
				if err != nil {
					t.Fatal(err)
				}
				clients[user] = dial(t, "mongodb://"+url.QueryEscape(user)+":x@"+set.Members()[0].Addr()+"/?authSource=admin", "app-"+user)
				if err := clients[user].Database("shop").CreateCollection(t.Context(), "of-"+user); err != nil {
					t.Fatal(err)
				}
			}
			reader := getlog.Reader{Client: dial(t, "mongodb://root:"+url.QueryEscape(mongotest.RootPassword)+"@"+set.Members()[0].Addr(), "reader")}
			log := actor.Log{}
			read := func() {
				t.Helper()
				batch, err := reader.Read(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, line := range batch.Lines {
					log.Add([]byte(line))
				}
			}
			read()
			log.Missed() // the pools are older than what counts
			// A connection whose first line came before it, and whose next one after it, looks like one of a server that logs no connections,
			// until another one is logged.
			dial(t, "mongodb://root:"+url.QueryEscape(mongotest.RootPassword)+"@"+set.Members()[0].Addr(), "later")
			for _, user := range users {
				if err := clients[user].Database("shop").Collection("of-" + user).Drop(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			read()
			mark := log.Position()
			state, err := reader.State(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			read()
			for _, user := range users {
				if _, outcome := log.Find(dropEntry(t, root, "of-"+user)); outcome != actor.Unconfirmed {
					t.Errorf("%s before it is confirmed: %s", user, outcome)
				}
			}
			log.Confirm(mark, state)
			for _, user := range users {
				got, outcome := log.Find(dropEntry(t, root, "of-"+user))
				if outcome != actor.Found || got.User != user+"@admin" || got.App != "app-"+user {
					t.Errorf("%s: %s %+v", user, outcome, got)
				}
			}
		})
	}
}

func dropEntry(t *testing.T, client *mongo.Client, collection string) actor.Entry {
	t.Helper()
	var e struct {
		TS   bson.Timestamp `bson:"ts"`
		Term int64          `bson:"t"`
		Wall time.Time      `bson:"wall"`
		UI   bson.Binary    `bson:"ui"`
	}
	err := client.Database("local").Collection("oplog.rs").FindOne(t.Context(), bson.D{{Key: "o.drop", Value: collection}}).Decode(&e)
	if err != nil {
		t.Fatal(err)
	}
	return actor.Entry{
		TS: e.TS, Term: e.Term, Wall: e.Wall, Command: "drop", NS: "shop." + collection, Collection: actor.UUID(e.UI.Data),
	}
}
