// Package property runs random DDL on a real server and compares the schema that follows
// from the notifications with the server's.
package property

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/ddltail/ddltail/test/ddlgen"
	"github.com/ddltail/ddltail/test/ddltailtest"
)

var (
	seeds = flag.Int("seeds", 1, "the number of random seeds, in addition to the fixed ones")
	steps = flag.Int("steps", 1200, "how many operations are tried for one seed; the server refuses some")
	short = flag.Duration("shrinktime", 3*time.Minute, "how long to search for a shorter list of operations that also fails")
	only  = flag.Uint64("seed", 0, "run only this seed")
)

// TestRandomDDL runs fixed and random seeds. A failure prints its seed and a list of
// operations, shortened as far as time allows.
func TestRandomDDL(t *testing.T) {
	binary, err := ddltailtest.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	all := []uint64{1, 2, 16796827849217986739}
	for range *seeds {
		all = append(all, rand.Uint64())
	}
	if *only != 0 {
		all = []uint64{*only}
	}
	for _, seed := range all {
		// Each seed has its own servers, because a server keeps the files of dropped tables
		// open.
		t.Run(fmt.Sprint(seed), func(t *testing.T) { newLaboratory(t, binary).randomDDL(seed) })
	}
}

func (l *laboratory) randomDDL(seed uint64) {
	g := ddlgen.New(seed, databases()...)
	ops := make([]ddlgen.Operation, *steps)
	for i := range ops {
		ops[i] = g.Next()
	}
	began := time.Now()
	o := l.try(ops)
	l.Logf("seed %d: %d operations, %d refused, %d notifications, %d of them taken back, %d namespaces, in %s",
		seed, len(ops), o.refused, o.published, o.undone, o.namespaces, time.Since(began).Round(time.Second/10))
	if len(o.wrong) == 0 {
		return
	}
	l.Errorf("seed %d:\n%s", seed, strings.Join(o.wrong, "\n"))
	ops = shrink(ops, time.Now().Add(*short), func(ops []ddlgen.Operation) bool { return l.alive() == nil && len(l.try(ops).wrong) > 0 })
	l.Errorf("shortest failing list, %d operations:", len(ops))
	for _, op := range ops {
		l.Errorf("%s", op)
	}
	if l.alive() == nil {
		l.Errorf("with them:\n%s", strings.Join(l.try(ops).wrong, "\n"))
	}
}
