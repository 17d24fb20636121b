package mongosh_test

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/test/mongotest"
)

// real is a real server and a real mongosh connected to it.
type real struct {
	shell
	client *mongo.Client
	major  int // of the server's version
}

// TestReal shares one server among all tests that need one.
func TestReal(t *testing.T) {
	set := mongotest.NewReplicaSet(t, mongotest.Options{})
	r := real{newShell(t, mongoshBinary(t), set.URI()), mongotest.Connect(t, set.URI()), 0}
	r.major = r.majorVersion(t)
	t.Run("literals", r.testLiterals)
	t.Run("regular expressions", r.testRegularExpressions)
	t.Run("members of db", r.testMembers)
	t.Run("names", r.testNames)
	t.Run("three ways in", r.testWaysIn)
	t.Run("definitions", r.testDefinitions)
	t.Run("modifications", r.testModifications)
	t.Run("views", r.testViews)
	t.Run("renames", r.testRenames)
	t.Run("undo of create", r.testUndoCreate)
	t.Run("undo beside a transaction", r.testUndoBesideTransaction)
}

func (r real) majorVersion(t *testing.T) int {
	t.Helper()
	var info struct {
		VersionArray []int `bson:"versionArray"`
	}
	if err := r.client.Database("admin").RunCommand(t.Context(), bson.D{{Key: "buildInfo", Value: 1}}).Decode(&info); err != nil {
		t.Fatalf("buildInfo: %v", err)
	}
	return info.VersionArray[0]
}

// mongoshBinary is $MONGOSH, else mongosh on PATH, else the one that the script
// behind `make mongosh` fetches.
func mongoshBinary(t *testing.T) string {
	t.Helper()
	path, err := mongotest.Mongosh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return path
}
