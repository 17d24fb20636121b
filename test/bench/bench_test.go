// Package bench has benchmarks of parts of ddltail; internal/tools/bench compares its
// cost with alternatives.
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
