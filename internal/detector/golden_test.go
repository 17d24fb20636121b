package detector_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"golang.org/x/tools/txtar"

	"github.com/ddltail/ddltail/internal/detector"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/sink"
)

var update = flag.Bool("update", false, "rewrite the documents of the golden cases")

// TestGolden reads cases of real entries, one a file: what the client did, the
// entries as the server wrote them, the documents they must bring.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden cases: %v", err)
	}
	for _, path := range files {
		t.Run(filepath.ToSlash(path[len("testdata/"):len(path)-len(".txtar")]), func(t *testing.T) {
			golden(t, path)
		})
	}
}

func golden(t *testing.T, path string) {
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	entries, documents := section(t, archive, "entries"), section(t, archive, "documents")
	got := tell(t, entries.Data)
	if *update {
		documents.Data = got
		if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(got, documents.Data) {
		t.Errorf("got\n%s\nwant\n%s", got, documents.Data)
	}
}

func section(t *testing.T, a *txtar.Archive, name string) *txtar.File {
	for i := range a.Files {
		if a.Files[i].Name == name {
			return &a.Files[i]
		}
	}
	t.Fatalf("no section %q", name)
	return nil
}

// tell takes entries, one a line, the way that `run` does, and gives the documents
// as indented JSON.
func tell(t *testing.T, lines []byte) []byte {
	d := detector.New(detector.Watch{Own: sink.Collections("ddltail")})
	var out bytes.Buffer
	for line := range bytes.Lines(lines) {
		var raw bson.Raw
		if err := bson.UnmarshalExtJSON(line, true, &raw); err != nil {
			t.Fatalf("entry %s: %v", line, err)
		}
		e, err := oplog.Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range d.Detect(e) {
			doc := sink.NewDocument(c, sink.Origin{Source: "rs0", ReplicaSet: "rs0"}, c.Wall.Add(time.Second))
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
	return out.Bytes()
}
