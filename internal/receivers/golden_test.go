package receivers

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
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

// TestDocs compares the payloads in docs/receivers with the golden cases: as they are sent,
// or the text that people see.
func TestDocs(t *testing.T) {
	paths, err := filepath.Glob("../../docs/receivers/*.md")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	block := regexp.MustCompile(`(?s)(<!-- (\w+) (\w+)( text)?: written by go test \./internal/receivers -update -->\n).*?(<!-- end -->)`)
	for _, path := range paths {
		page, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want := block.ReplaceAllStringFunc(string(page), func(text string) string {
			m := block.FindStringSubmatch(text)
			payload := goldenPart(t, m[2], m[3])
			if m[4] == "" {
				return m[1] + "```json\n" + payload + "```\n" + m[5]
			}
			return m[1] + "```\n" + displayed(t, payload) + "```\n" + m[5]
		})
		if *update {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		} else if want != string(page) {
			t.Errorf("%s differs from the golden cases: go test ./internal/receivers -update", path)
		}
	}
}

func goldenPart(t *testing.T, name, part string) string {
	t.Helper()
	archive, err := txtar.ParseFile("testdata/golden/" + name + ".txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range archive.Files {
		if f.Name == part {
			return string(f.Data)
		}
	}
	t.Fatalf("%s has no part %s", name, part)
	return ""
}

// displayed returns the texts of a message for Slack or Teams, a line for each paragraph.
func displayed(t *testing.T, payload string) string {
	t.Helper()
	var lines []string
	var slackBody slackMessageBody
	var teamsBody teamsMessageBody
	if err := json.Unmarshal([]byte(payload), &slackBody); err == nil && len(slackBody.Blocks) > 0 {
		for _, b := range slackBody.Blocks {
			if b.Text != nil {
				lines = append(lines, b.Text.Text)
			}
			for _, part := range b.Elements {
				line := ""
				for _, e := range part.Elements {
					line += e.Text
				}
				lines = append(lines, line)
			}
		}
	} else if err := json.Unmarshal([]byte(payload), &teamsBody); err == nil {
		for _, e := range teamsBody.Attachments[0].Content.Body {
			for _, rich := range append(e.Items, e) {
				line := ""
				for _, run := range rich.Inlines {
					line += run.Text
				}
				if line != "" {
					lines = append(lines, line)
				}
			}
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// TestExamples loads every receivers file in the documentation.
func TestExamples(t *testing.T) {
	paths, err := filepath.Glob("../../docs/receivers/*.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(receivers:.*?)```")
	secret := regexp.MustCompile(`/(run/secrets|etc/ssl)/[a-z.-]+`)
	for _, path := range append(paths, "../../docs/receivers.md") {
		page, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range block.FindAllStringSubmatch(string(page), -1) {
			text := secret.ReplaceAllStringFunc(m[1], filepath.Base)
			files := map[string]string{}
			for _, name := range secret.FindAllString(m[1], -1) {
				files[filepath.Base(name)] = "https://example.com/webhook"
				if strings.HasSuffix(name, ".pem") {
					files[filepath.Base(name)] = certificate
				}
			}
			for _, r := range loadAll(t, text, files) {
				r.Close()
			}
		}
		if strings.Contains(string(page), "```yaml") != block.Match(page) {
			t.Errorf("%s has an example that is not checked", path)
		}
	}
}

// TestTemplateExample renders the example of a template file in the documentation.
func TestTemplateExample(t *testing.T) {
	page, err := os.ReadFile("../../docs/receivers/templates.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```json\n(.*?)```").FindStringSubmatch(string(page))
	if m == nil {
		t.Fatal("no example")
	}
	if _, err := parseTemplate(kindJSON, m[1]); err != nil {
		t.Error(err)
	}
}
