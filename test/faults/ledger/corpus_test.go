package ledger_test

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"golang.org/x/tools/txtar"

	"github.com/ddltail/ddltail/test/faults/ledger"
	"github.com/ddltail/ddltail/test/faults/verdict"
)

// corpus is the folder of recorded oplog entries, each case with the documents that ddltail derives
// from it.
const corpus = "../../../internal/detector/testdata/corpus/6.0.5/*.txtar"

// beyond are cases that the load never produces, with the reason why the ledger does not
// support them.
func beyond() map[string]string {
	return map[string]string{
		"rename-cross-db":                     "goes through a collection under a generated name that is not marked as temporary",
		"stay-temp-of-an-ordinary-collection": "renames to another database among them",
		"temporary-collection-of-a-user":      "a user's own temporary collection is renamed",
		"own-collection-archived":             "ddltail's own collections are renamed",
		"applyops-create-over-a-time-series":  "the buckets are renamed, and not the time series",
	}
}

type corpusCase struct {
	name      string
	entries   []bson.Raw
	documents []bson.Raw
}

// TestCorpus decodes the corpus of the detector's tests: both independent readers must return the same changes.
func TestCorpus(t *testing.T) {
	paths, err := filepath.Glob(corpus)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no corpus: %v", err)
	}
	var cases []corpusCase
	for _, path := range paths {
		cases = append(cases, readCase(t, path))
	}
	// The cases were recorded one after the other on one server.
	slices.SortFunc(cases, func(a, b corpusCase) int { return placeOf(a).Compare(placeOf(b)) })
	decoder := ledger.NewDecoder("banking_db")
	changes := 0
	for _, c := range cases {
		if _, never := beyond()[c.name]; never {
			continue
		}
		run := ledger.Run{Header: ledger.Header{Source: "rs0", UpTo: bson.Timestamp{T: 1 << 31}, Sinks: []ledger.Sink{{Name: "documents"}}}}
		for _, raw := range c.entries {
			made, err := decoder.Decode(raw)
			if err != nil {
				t.Fatalf("%s: %v: %s", c.name, err, raw)
			}
			run.Changes = append(run.Changes, made...)
		}
		for _, d := range c.documents {
			id, _ := d.Lookup("_id").StringValueOK()
			run.Writes = append(run.Writes, ledger.Write{Sink: "documents", Action: ledger.Insert, ID: id, Document: d})
		}
		changes += len(run.Changes)
		if v := verdict.Judge(run); !v.Sound() {
			t.Errorf("%s: %s", c.name, v)
		}
	}
	t.Logf("%d changes in %d cases", changes, len(cases)-len(beyond()))
}

func placeOf(c corpusCase) bson.Timestamp {
	if len(c.entries) == 0 {
		return bson.Timestamp{}
	}
	t, i, _ := c.entries[0].Lookup("ts").TimestampOK()
	return bson.Timestamp{T: t, I: i}
}

func readCase(t *testing.T, path string) corpusCase {
	text, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimSuffix(filepath.Base(path), ".txtar")
	return corpusCase{
		name: name, entries: parse(t, path, section(text, "entries"), "}\n"),
		documents: parse(t, path, section(text, "documents"), "\n}\n"),
	}
}

// section returns the file with a name in the archive; nil if there is none.
func section(a *txtar.Archive, name string) []byte {
	for _, f := range a.Files {
		if f.Name == name {
			return f.Data
		}
	}
	return nil
}

// parse parses consecutive documents, each of which ends with the text end.
func parse(t *testing.T, path string, text []byte, end string) []bson.Raw {
	var all []bson.Raw
	for _, one := range bytes.SplitAfter(text, []byte(end)) {
		if len(bytes.TrimSpace(one)) == 0 {
			continue
		}
		var raw bson.Raw
		if err := bson.UnmarshalExtJSON(one, false, &raw); err != nil {
			t.Fatalf("%s: %v\n%s", path, err, one)
		}
		all = append(all, raw)
	}
	return all
}
