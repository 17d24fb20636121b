package detector_test

import (
	"bytes"
	"flag"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/ddltail/ddltail/internal/detector"
	"github.com/ddltail/ddltail/internal/notification"
)

var corpus = flag.String("corpus", "", "a file that `ddltail capture` printed, to be judged by the rules of the golden cases")

// operations are those that a capture must bring, whatever the server refused.
var operations = []notification.Operation{
	notification.CreateCollection, notification.DropCollection, notification.CreateIndex, notification.DropIndex, notification.AbortIndexBuild,
	notification.ModifyCollection, notification.RenameCollection, notification.ReplaceCollection, notification.CreateView,
	notification.ModifyView, notification.DropView, notification.ConvertToCapped, notification.DropDatabase,
}

// TestCorpus judges a capture: each entry can be decoded, brings a notification or has a reason not to, and none is of a
// kind that is not known; every operation is among them, and the databases that were dropped at the end leave nothing.
func TestCorpus(t *testing.T) {
	if *corpus == "" {
		t.Skip("no -corpus FILE")
	}
	archive, err := txtar.ParseFile(*corpus)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", archive.Comment)
	c := golden{path: *corpus, name: "capture", archive: archive, entries: readEntries(t, archive)}
	documents, ignored := c.replay(t, &detector.State{}, &reasons{})
	t.Logf("%d entries, ignored:\n%s", len(c.entries), ignored)
	if bytes.Contains(documents, []byte(`"`+string(notification.UnknownCommand)+`"`)) {
		t.Errorf("commands that are not known: %s", documents)
	}
	for _, op := range operations {
		if n := bytes.Count(documents, []byte(`"operation": "`+string(op)+`"`)); n == 0 {
			t.Errorf("no %s", op)
		} else {
			t.Logf("%d %s", n, op)
		}
	}
	for _, e := range c.entries {
		if ns, _ := e.Raw.Lookup("ns").StringValueOK(); !strings.HasPrefix(ns, "ddltail_capture_") && ns != "admin.$cmd" {
			t.Errorf("an entry of another database: %s", e.Raw)
		}
	}
}
