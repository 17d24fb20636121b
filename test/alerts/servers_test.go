package alerts

import (
	"crypto/x509/pkix"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/test/certs"
	"github.com/ddltail/ddltail/test/mongotest"
)

// servers has the replica set that scenarios share unless they need their own. It requires authentication
// and accepts TLS.
type servers struct {
	folder string
	main   *mongotest.ReplicaSet
	client *mongo.Client
}

func newServers(t *testing.T) *servers {
	t.Helper()
	s := &servers{folder: t.TempDir()}
	// The authority expires within the two weeks of the alert.
	ca := certs.NewAuthority(t, "ca", 10*24*time.Hour)
	ok(t, os.WriteFile(s.ca(), ca.PEM(), 0o600))
	server := filepath.Join(s.folder, "server.pem")
	ok(t, os.WriteFile(server, ca.Issue(t, pkix.Name{CommonName: "server"}, 9*24*time.Hour), 0o600))
	s.main = mongotest.NewReplicaSet(t, mongotest.Options{Auth: true, Args: []string{
		"--tlsMode", "allowTLS", "--tlsCAFile", s.ca(), "--tlsCertificateKeyFile", server, "--tlsAllowConnectionsWithoutCertificates",
	}})
	s.client = mongotest.Connect(t, s.main.URI())
	return s
}

func (s *servers) ca() string { return filepath.Join(s.folder, "ca.pem") }

// variables returns the variables of a ddltail with its own database and source.
func (s *servers) variables(name string, more ...string) []string {
	return append([]string{"DDLTAIL_MONGODB_URI=" + s.main.URI(), "DDLTAIL_DATABASE=" + name, "DDLTAIL_SOURCE=" + name}, more...)
}

// small starts a set for one scenario.
func (s *servers) small(t *testing.T) *mongotest.ReplicaSet {
	t.Helper()
	return mongotest.NewReplicaSet(t, mongotest.Options{OplogSizeMB: 16})
}

// create creates a collection with a validator of the given size in bytes.
func (s *servers) create(t *testing.T, db, name string, size int) {
	t.Helper()
	validator := bson.D{{Key: "$expr", Value: bson.D{{Key: "$ne", Value: bson.A{"$x", strings.Repeat("x", size)}}}}}
	ok(t, s.client.Database(db).CreateCollection(t.Context(), name, options.CreateCollection().SetValidator(validator)))
}

// userOf runs create-user.js and returns the URI of the user that it creates.
func (s *servers) userOf(t *testing.T, name string) string {
	t.Helper()
	shell, err := mongotest.Mongosh(t.Context())
	ok(t, err)
	cmd := exec.CommandContext(t.Context(), shell, s.main.URI(), "--quiet", "--norc", "--file", filepath.Join(deploy, "create-user.js"))
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "DDLTAIL_USER="+name, "DDLTAIL_DATABASE="+name, "DDLTAIL_PASSWORD=secret")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("create-user.js: %v\n%s", err, out)
	}
	return s.main.URIOf(name, "secret", "")
}

// rollOver writes until the oplog has lost all entries that it has now.
func rollOver(t *testing.T, client *mongo.Client) {
	t.Helper()
	log := client.Database("local").Collection("oplog.rs")
	last, pad := newest(t, client), strings.Repeat("x", 1<<20)
	eventually(t, 2*time.Minute, "the oplog to roll over", func() bool {
		for range 4 {
			_, err := client.Database("filler").Collection("docs").InsertOne(t.Context(), bson.D{{Key: "pad", Value: pad}})
			ok(t, err)
		}
		first, err := log.FindOne(t.Context(), bson.D{}, options.FindOne().SetSort(bson.D{{Key: "$natural", Value: 1}})).Raw()
		ok(t, err)
		return timestamp(first).After(timestamp(last))
	})
}

func newest(t *testing.T, client *mongo.Client) bson.Raw {
	t.Helper()
	raw, err := client.Database("local").Collection("oplog.rs").FindOne(t.Context(), bson.D{},
		options.FindOne().SetSort(bson.D{{Key: "$natural", Value: -1}})).Raw()
	ok(t, err)
	return raw
}

func timestamp(entry bson.Raw) (at bson.Timestamp) {
	at.T, at.I = entry.Lookup("ts").Timestamp()
	return at
}

// insertEntries inserts commands between two entries of the oplog of a set of one member. That needs a restart as a standalone.
// A restarted member replays the entries after its last checkpoint, so the new ones must be before it.
func insertEntries(t *testing.T, set *mongotest.ReplicaSet, entries ...bson.D) {
	t.Helper()
	client := mongotest.Connect(t, set.URI())
	note := func() bson.Raw {
		ok(t, client.Database("admin").RunCommand(t.Context(), bson.D{{Key: "appendOplogNote", Value: 1}, {Key: "data", Value: bson.D{{Key: "msg", Value: "by hand"}}}}).Err())
		return newest(t, client)
	}
	before, after := note(), note()
	for timestamp(after).T == timestamp(before).T { // room for the entries between them
		after = note()
	}
	eventually(t, time.Minute, "a checkpoint of the server", func() bool {
		ok(t, client.Database("admin").RunCommand(t.Context(), bson.D{{Key: "fsync", Value: 1}}).Err())
		status, err := client.Database("admin").RunCommand(t.Context(), bson.D{{Key: "replSetGetStatus", Value: 1}}).Raw()
		ok(t, err)
		seconds, i, known := status.Lookup("lastStableRecoveryTimestamp").TimestampOK()
		return known && (bson.Timestamp{T: seconds, I: i}).After(timestamp(after))
	})
	member := set.Members()[0]
	ok(t, member.Shutdown(t.Context()))
	ok(t, member.RestartStandalone(t.Context()))
	log := mongotest.Connect(t, member.URI()).Database("local").Collection("oplog.rs")
	for i, entry := range entries {
		at := timestamp(before)
		_, err := log.InsertOne(t.Context(), append(bson.D{
			{Key: "ts", Value: bson.Timestamp{T: at.T, I: at.I + 1000 + uint32(i)}}, {Key: "t", Value: before.Lookup("t")}, {Key: "v", Value: before.Lookup("v")},
			{Key: "op", Value: "c"}, {Key: "ns", Value: "shop.$cmd"}, {Key: "wall", Value: time.Now()},
		}, entry...))
		ok(t, err)
	}
	ok(t, member.Shutdown(t.Context()))
	ok(t, member.Restart(t.Context()))
	ok(t, set.WaitReady(t.Context()))
}
