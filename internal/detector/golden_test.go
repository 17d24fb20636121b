package detector_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"golang.org/x/tools/txtar"

	"github.com/ddltail/ddltail/internal/detector"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/schema"
	"github.com/ddltail/ddltail/internal/store"
)

var update = flag.Bool("update", false, "rewrite the documents of the golden cases")

// TestGolden reads cases, one a file: what the client did, the entries, the documents
// they must bring, and the reason of every entry that brings none. The cases of one
// folder came one after the other on one server, and share a catalog. Those under
// corpus and shards were captured from servers; those under handmade were written by
// hand after the server's source, where no such server ran.
func TestGolden(t *testing.T) {
	folders, err := filepath.Glob("testdata/*/*")
	if err != nil || len(folders) == 0 {
		t.Fatalf("no golden cases: %v", err)
	}
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			known := &detector.State{}
			reasons := &reasons{}
			for _, c := range readCases(t, folder) {
				// Replayed whether or not the case is selected: later ones need its catalog.
				documents, ignored := c.replay(t, known, reasons)
				t.Run(c.name, func(t *testing.T) { c.check(t, documents, ignored) })
			}
		})
	}
}

// golden is one case.
type golden struct {
	path, name string
	archive    *txtar.Archive
	entries    []oplog.Entry
}

// readCases returns the cases of a folder in the order of their first entries.
func readCases(t testing.TB, folder string) []golden {
	files, err := filepath.Glob(filepath.Join(folder, "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden cases in %s: %v", folder, err)
	}
	cases := make([]golden, len(files))
	for i, path := range files {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		cases[i] = golden{path: path, name: strings.TrimSuffix(filepath.Base(path), ".txtar"), archive: archive}
		cases[i].entries = readEntries(t, archive)
	}
	slices.SortFunc(cases, func(a, b golden) int { return a.entries[0].OpTime.Compare(b.entries[0].OpTime) })
	return cases
}

func readEntries(t testing.TB, archive *txtar.Archive) []oplog.Entry {
	var entries []oplog.Entry
	for line := range bytes.Lines(section(t, archive, "entries").Data) {
		var raw bson.Raw
		if err := bson.UnmarshalExtJSON(line, true, &raw); err != nil {
			t.Fatalf("entry %s: %v", line, err)
		}
		e, err := oplog.Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e)
	}
	return entries
}

func (g golden) check(t *testing.T, got, ignored []byte) {
	if *update {
		g.archive.Files = append(g.archive.Files[:1], txtar.File{Name: "documents", Data: got}, txtar.File{Name: "ignored", Data: ignored})
		if err := os.WriteFile(g.path, txtar.Format(g.archive), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want := section(t, g.archive, "documents").Data; !bytes.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if want := section(t, g.archive, "ignored").Data; !bytes.Equal(ignored, want) {
		t.Errorf("ignored are\n%s\nwant\n%s", ignored, want)
	}
}

// Fetch finds an entry of the case, as a member finds one of its oplog.
func (g golden) Fetch(_ context.Context, ts bson.Timestamp) (oplog.Entry, bool, error) {
	for _, e := range g.entries {
		if e.OpTime.TS == ts {
			return e, true, nil
		}
	}
	return oplog.Entry{}, false, nil
}

// replay runs the entries the way that `run` does, and returns the documents as
// indented JSON, and a line for each entry that brought none.
func (g golden) replay(t *testing.T, known *detector.State, why *reasons) (documents, ignored []byte) {
	d := detector.New(schema.Scope{Own: store.Collections("ddltail")})
	var out, passed bytes.Buffer
	for _, e := range g.entries {
		unit, err := oplog.Assemble(t.Context(), e, g)
		if err != nil {
			t.Fatal(err)
		}
		known.AdvanceTo(unit.OpTime.TS)
		result := d.Detect(unit, known)
		known.Apply(result)
		checkTouched(t, d.AffectedNamespaces(unit), result)
		if len(result.Changes) == 0 {
			fmt.Fprintln(&passed, ignoredLine(t, e, why.why(e)))
		}
		why.follow(e)
		for _, c := range result.Changes {
			doc := notification.NewDocument(c, notification.Origin{Source: "rs0", ReplicaSet: "rs0"}, c.Wall.Add(time.Second))
			text, err := bson.MarshalExtJSON(doc.Notification(), false, false)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Indent(&out, text, "", "  "); err != nil {
				t.Fatal(err)
			}
			out.WriteByte('\n')
		}
	}
	return out.Bytes(), passed.Bytes()
}

// checkTouched wants every namespace of a new version among those that the unit is
// said to have touched.
func checkTouched(t *testing.T, touched []schema.Namespace, r detector.Result) {
	for _, v := range r.Versions {
		whole := schema.Namespace{Database: v.Namespace.Database}
		if !slices.Contains(touched, v.Namespace) && !slices.Contains(touched, whole) {
			t.Errorf("%s has a new version at %s, and only %v is said to be touched", v.Namespace, v.OpTime, touched)
		}
	}
}

func ignoredLine(t *testing.T, e oplog.Entry, reason string) string {
	if reason == "" {
		t.Errorf("%s is ignored for no reason: %s", e.OpTime, e.Raw)
	}
	name, _ := e.Command()
	return strings.Join(strings.Fields(fmt.Sprintf("%d:%d %s %q %s", e.OpTime.TS.T, e.OpTime.TS.I, e.Op, e.NS, name)), " ") + ": " + reason
}

func section(t testing.TB, a *txtar.Archive, name string) *txtar.File {
	for i := range a.Files {
		if a.Files[i].Name == name {
			return &a.Files[i]
		}
	}
	t.Fatalf("no section %q", name)
	return nil
}
