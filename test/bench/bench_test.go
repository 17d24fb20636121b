// Package bench has benchmarks of parts of ddltail. What it costs beside its peers is
// measured by internal/tools/bench.
package bench

import (
	"os"
	"testing"

	"github.com/ddltail/ddltail/test/mongotest"
)

var set *mongotest.ReplicaSet

func TestMain(m *testing.M) {
	os.Exit(mongotest.Main{Tests: m, Set: &set}.Run())
}
