package receivers

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "rewrite the results of the golden cases")

// builtIn returns the built-in templates with a fixed clock.
func builtIn() map[string]template {
	clock := func() time.Time { return time.Date(2026, 11, 25, 19, 30, 0, 0, time.UTC) }
	return map[string]template{
		"json": document{}, "cloudevents": cloudEvent{}, "slack": slack{}, "teams": teams{},
		"alertmanager": alertmanager{resolveAfter: time.Hour, now: clock}, "pagerduty": pagerDuty{routingKey: "R0UT1NG"},
	}
}

// TestGolden renders the notifications of each case with every template.
func TestGolden(t *testing.T) {
	paths, err := filepath.Glob("testdata/golden/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			all := notifications(t, archive.Files[0].Data)
			files := archive.Files[:1:1]
			for _, name := range Templates() {
				p, err := builtIn()[name].render(all)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				var text bytes.Buffer
				if err := json.Indent(&text, p.body, "", "  "); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				text.WriteByte('\n')
				files = append(files, txtar.File{Name: name, Data: text.Bytes()})
			}
			got := txtar.Format(&txtar.Archive{Comment: archive.Comment, Files: files})
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if want := txtar.Format(archive); !bytes.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// notifications parses lines of Extended JSON.
func notifications(t testing.TB, lines []byte) []Notification {
	t.Helper()
	var all []Notification
	for line := range strings.Lines(string(lines)) {
		var doc bson.Raw
		if err := bson.UnmarshalExtJSON([]byte(line), false, &doc); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all = append(all, Notification{ID: "id-" + idText(doc), Document: doc})
	}
	return all
}
