package actor_test

import (
	"context"
	"crypto/x509/pkix"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xdg-go/scram"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/test/certs"
	"github.com/ddltail/ddltail/test/mongotest"
)

// stored is an actor with the fields that these tests configure.
type stored struct {
	User, App, Client, Mechanism string
	Exact                        bool
}

const allFields = "DDLTAIL_ACTOR_FIELDS=user,app,driver,client,mechanism"

// actorOf waits for the notification of a collection's creation and its actor.
func (w world) actorOf(database, ns string) stored {
	w.Helper()
	var doc struct {
		ID    string  `bson:"_id"`
		Actor *stored `bson:"actor"`
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		err := w.root.Database(database).Collection("schema_history").FindOne(w.Context(), bson.D{{Key: "ns", Value: ns}, {Key: "operation", Value: "CREATE_COLLECTION"}}).Decode(&doc)
		if err == nil && doc.Actor == nil {
			_ = w.root.Database(database).Collection("schema_actors").FindOne(w.Context(), bson.D{{Key: "_id", Value: doc.ID}}).Decode(&doc)
		}
		if err == nil && doc.Actor != nil {
			return *doc.Actor
		}
		if time.Now().After(end) {
			w.Fatalf("no actor of %s: %v", ns, err)
		}
	}
}

func (w world) create(client *mongo.Client, db, collection string) {
	w.Helper()
	w.must(client.Database(db).CreateCollection(w.Context(), collection))
}

// dialed returns a client by a URI, with one connection.
func (w world) dialed(uri, app string) *mongo.Client {
	w.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(uri).SetAppName(app).SetMaxPoolSize(1).SetMinPoolSize(1))
	w.must(err)
	w.Cleanup(func() { _ = client.Disconnect(w.Context()) })
	return client
}

// TestClients makes changes over every kind of connection: x.509, IPv6, a Unix socket.
func TestClients(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	authority := certs.NewAuthority(t, "an authority", time.Hour)
	path := func(name string, content []byte) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	ca := path("ca.pem", authority.PEM())
	client := path("client.pem", authority.Issue(t, pkix.Name{CommonName: "client", Organization: []string{"test, inc"}}, time.Hour))
	w := newWorld(t, mongotest.Options{Args: []string{
		"--bind_ip", "127.0.0.1,::1", "--ipv6", "--unixSocketPrefix", dir,
		"--tlsMode", "allowTLS", "--tlsCAFile", ca, "--tlsCertificateKeyFile", path("server.pem", authority.Issue(t, pkix.Name{CommonName: "server"}, time.Hour)),
		"--tlsAllowConnectionsWithoutCertificates",
	}})
	const subject = `CN=client,O=test\, inc`
	w.must(w.root.Database("$external").RunCommand(t.Context(), bson.D{
		{Key: "createUser", Value: subject}, {Key: "roles", Value: bson.A{bson.D{{Key: "role", Value: "root"}, {Key: "db", Value: "admin"}}}},
	}).Err())
	w.run("audit", "DDLTAIL_ACTOR=getlog", allFields)
	addr := w.set.Members()[0].Addr()
	port := addr[strings.LastIndexByte(addr, ':')+1:]
	const login = "mongodb://ann:x@"
	for _, c := range []struct{ name, uri, user, client, mechanism string }{
		{"x509", "mongodb://" + addr + "/?directConnection=true&tls=true&authMechanism=MONGODB-X509&tlsCAFile=" + ca + "&tlsCertificateKeyFile=" + client, subject + "@$external", "127.0.0.1:", "MONGODB-X509"},
		{"ipv6", login + "[::1]:" + port + "/?directConnection=true", "ann@admin", "[::1]:", "SCRAM-SHA-256"},
		{"socket", login + url.QueryEscape(filepath.Join(dir, "mongodb-"+port+".sock")) + "/?directConnection=true", "ann@admin", "anonymous unix socket", "SCRAM-SHA-256"},
	} {
		w.create(w.dialed(c.uri, "app "+c.name), "ways", c.name)
		got := w.actorOf("audit", "ways."+c.name)
		if got.User != c.user || got.App != "app "+c.name || !strings.HasPrefix(got.Client, c.client) || got.Mechanism != c.mechanism || !got.Exact {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

// TestNoAccessControl checks that without access control the application is reported, and
// no user.
func TestNoAccessControl(t *testing.T) {
	t.Parallel()
	set := mongotest.NewReplicaSet(t, mongotest.Options{})
	w := world{T: t, set: set, root: mongotest.Connect(t, set.URI())}
	w.run("audit", "DDLTAIL_ACTOR=getlog")
	w.create(w.dialed(set.URI(), "an application"), "open", "x")
	if got := w.actorOf("audit", "open.x"); got != (stored{App: "an application", Exact: true}) {
		t.Errorf("%+v", got)
	}
}

// TestAnotherUser authenticates one connection as another user between two changes. Servers from 6.0 on refuse that.
func TestAnotherUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, mongotest.Options{Version: "4.4.2"})
	client := w.dialed("mongodb://gus:x@"+w.set.Members()[0].Addr()+"/?directConnection=true", "one connection")
	w.create(client, "early", "x") // the connection is older than the detector
	w.run("audit", "DDLTAIL_ACTOR=getlog")
	w.create(client, "before", "x")
	w.must(authenticate(t.Context(), client, "hal"))
	w.create(client, "after", "x")
	for db, user := range map[string]string{"before": "gus@admin", "after": "hal@admin"} {
		if got := w.actorOf("audit", db+".x"); got.User != user {
			t.Errorf("%s: %+v", db, got)
		}
	}
}

// authenticate runs SCRAM-SHA-256 on the client's only connection.
func authenticate(ctx context.Context, client *mongo.Client, user string) error {
	credentials, err := scram.SHA256.NewClient(user, "x", "")
	if err != nil {
		return err
	}
	conversation := credentials.NewConversation()
	var reply struct {
		ID      int32  `bson:"conversationId"`
		Payload []byte `bson:"payload"`
		Done    bool   `bson:"done"`
	}
	for step := 0; !reply.Done; step++ {
		payload := ""
		if !conversation.Done() {
			if payload, err = conversation.Step(string(reply.Payload)); err != nil {
				return err
			}
		}
		command := bson.D{{Key: "saslContinue", Value: 1}, {Key: "conversationId", Value: reply.ID}}
		if step == 0 {
			command = bson.D{{Key: "saslStart", Value: 1}, {Key: "mechanism", Value: "SCRAM-SHA-256"}}
		}
		command = append(command, bson.E{Key: "payload", Value: []byte(payload)})
		if err := client.Database("admin").RunCommand(ctx, command).Decode(&reply); err != nil {
			return err
		}
	}
	return nil
}
