package mongosh_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/ddltail/ddltail/internal/mongotest"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// real is a real server and a real mongosh connected to it.
type real struct {
	shell
	client *mongo.Client
}

// TestReal shares one server among all tests that need one.
func TestReal(t *testing.T) {
	set := mongotest.NewReplicaSet(t, mongotest.Options{})
	r := real{newShell(t, mongoshBinary(t), set.URI()), mongotest.Connect(t, set.URI())}
	t.Run("literals", r.testLiterals)
	t.Run("regular expressions", r.testRegularExpressions)
	t.Run("members of db", r.testMembers)
	t.Run("names", r.testNames)
	t.Run("three ways in", r.testWaysIn)
}

func mongoshBinary(t *testing.T) string {
	if path := os.Getenv("MONGOSH"); path != "" {
		return path
	}
	path, err := exec.LookPath("mongosh")
	if err != nil {
		t.Fatal("no mongosh: set MONGOSH")
	}
	return path
}
