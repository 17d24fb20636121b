package drift

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ddltail/ddltail/test/ddltailtest"
)

// TestLargeDeclaration compares a script of 50 MB with 20,000 collections, none of which exists, and checks the memory that
// the process took. The time is logged, not checked: other tests run beside.
func TestLargeDeclaration(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the unit of the peak of memory differs")
	}
	ddltailtest.SkipMemory(t)
	const collections, limitMB = 20_000, 200
	path := filepath.Join(t.TempDir(), "schema.js")
	writeLarge(t, path, collections)
	cmd := exec.CommandContext(t.Context(), binary, "drift", path)
	cmd.Env = []string{"HOME=" + t.TempDir(), "DDLTAIL_MONGODB_URI=" + set.URI()}
	var out strings.Builder
	cmd.Stdout = &out
	began := time.Now()
	_ = cmd.Run()
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if code := cmd.ProcessState.ExitCode(); !ok || code != 3 || strings.Count(out.String(), "missing") < collections {
		t.Fatalf("exit code %d, %d bytes of output", code, out.Len())
	}
	peak := usage.Maxrss >> 10
	t.Logf("%s, peak of resident memory %d MB", time.Since(began).Round(time.Millisecond), peak)
	if peak > limitMB {
		t.Errorf("%d MB, want at most %d", peak, limitMB)
	}
}

func writeLarge(t *testing.T, path string, collections int) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	w := bufio.NewWriter(file)
	fmt.Fprintln(w, "use large")
	for i := range collections {
		fmt.Fprintf(w, "db.createCollection('orders_%d', {validator: {$jsonSchema: {bsonType: 'object', properties: {", i)
		for p := range 20 {
			fmt.Fprintf(w, "field_%d: {bsonType: ['string', 'null'], description: 'property %d of the collection, a line of text as people write it'}, ", p, p)
		}
		fmt.Fprintf(w, "}}}})\ndb.orders_%d.createIndex({customer: 1, at: -1})\ndb.orders_%d.createIndex({email: 1}, {unique: true})\n", i, i)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if info, err := file.Stat(); err != nil || info.Size() < 50<<20 {
		t.Fatalf("%d bytes, %v", info.Size(), err)
	}
}
