package receivers

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// render renders one notification with a template text.
func render(t testing.TB, k kind, text string, n Notification) (string, error) {
	t.Helper()
	f, err := parseTemplate(k, text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	p, err := f.render([]Notification{n})
	return string(p.body), err
}

// TestEscaped checks that every action of a JSON template is escaped for its place: within
// a string, or as a value.
func TestEscaped(t *testing.T) {
	n := Notification{ID: "id", Document: raw(t, `{"_id": "a", "operation": "DROP_COLLECTION", "collection": "a\"b\\c\nd",
		"ns": "x.\"},{\"injected\":\"y", "before": {"v": "q\""}, "timestamp": 1795634426.5}`)}
	for _, c := range []struct{ text, want string }{
		{`{"c": {{.Collection}}}`, `{"c": "a\"b\\c\nd"}`},
		{`{"c": "{{.Collection}}"}`, `{"c": "a\"b\\c\nd"}`},
		{`{"c": "in {{.Collection}} {{.Namespace}}"}`, `{"c": "in a\"b\\c\nd x.\"},{\"injected\":\"y"}`},
		{`{{.Namespace}}`, `"x.\"},{\"injected\":\"y"`},
		{`{"b": {{.Before}}, "a": {{.After}}}`, `{"b": {"v":"q\""}, "a": null}`},
		{`{"b": "{{.Before}}"}`, `{"b": "{\"v\":\"q\\\"\"}"}`},
		{`{"n": {{len .Changes}}, "t": {{.Test}}, "s": "{{len .Changes}}"}`, `{"n": 1, "t": false, "s": "1"}`},
		{`{"t": "{{.Time}}", "u": {{.Time}}}`, `{"t": "2026-11-25T19:20:26.5Z", "u": "2026-11-25T19:20:26.5Z"}`},
		{`{"c": "{{printf "%s!" .Collection}}"}`, `{"c": "a\"b\\c\nd!"}`},
		{`{"c": "{{.Collection | cut 100}}"}`, `{"c": "a\"b\\c\nd"}`},
		{`{"c": "{{$x := .Collection}}{{$x}}"}`, `{"c": "a\"b\\c\nd"}`},
		{`{"c": "{{if .Undo}}{{.Undo}}{{else}}{{.Collection}}{{end}}"}`, `{"c": "a\"b\\c\nd"}`},
		{`{"c": {{if .Undo}}{{.Undo}}{{else}}{{.Collection}}{{end}}}`, `{"c": "a\"b\\c\nd"}`},
		{`{{if .Undo}}{"u": "{{.Undo}}"}{{else}}{"c": "{{.Collection}}"}{{end}}`, `{"c": "a\"b\\c\nd"}`},
		{`[{{range $i, $c := .Changes}}{{if $i}},{{end}}"{{$c.Collection}}"{{end}}]`, `["a\"b\\c\nd"]`},
		{`"{{range .Changes}}{{.Collection}};{{end}}"`, `"a\"b\\c\nd;"`},
		{`{"c": "{{with .Collection}}{{.}}{{end}}"}`, `{"c": "a\"b\\c\nd"}`},
		{`{{define "x"}}{{.Collection}}{{end}}{"in": "{{template "x" .}}", "out": {{template "x" .}}}`, `{"in": "a\"b\\c\nd", "out": "a\"b\\c\nd"}`},
		{`{"c": "{{block "y" .}}{{.Collection}}{{end}}"}`, `{"c": "a\"b\\c\nd"}`},
		{`{"c": "a \" {{.Collection}} \\"}`, `{"c": "a \" a\"b\\c\nd \\"}`},
		{`{"c": {{if .Before}}{{raw .Before}}{{else}}null{{end}}}`, `{"c": {"v":"q\""}}`},
		{`{"c": {{if .Before}}{{.Before | raw}}{{else}}null{{end}}}`, `{"c": {"v":"q\""}}`},
		{`{"c": "{{html .Collection}}"}`, `{"c": "a&#34;b\\c\nd"}`},
		{`{"c": "{{(raw .Collection)}}"}`, `{"c": "a\"b\\c\nd"}`},
		{`{"c": "{{raw .Collection | upper}}"}`, `{"c": "A\"B\\C\nD"}`},
		{`[{{range .Changes}}1{{break}}{{end}}]`, `[1]`},
	} {
		f, err := parseTemplate(kindJSON, c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		p, err := f.render([]Notification{n})
		if err != nil || string(p.body) != c.want {
			t.Errorf("%s: got %s, want %s (%v)", c.text, p.body, c.want, err)
		}
	}
}

// TestTemplateMistakes checks what is refused before anything is sent.
func TestTemplateMistakes(t *testing.T) {
	for text, want := range map[string]string{
		`{"a": {{.Operation}`:                                   "parse",
		`{"a": {{.operation}}}`:                                 "render a sample",
		`{"a": "{{.Operation}}}`:                                "ends within a JSON string",
		`{"a": {{if .Test}}"{{end}}{{.ID}}"}`:                   "end differently",
		`[{{range .Changes}}"{{.ID}}{{end}}]`:                   "end differently",
		`[{{range .Changes}}"{{break}}"{{end}}]`:                "break and continue must be in the same position",
		`{{define "x"}}"{{end}}{"a": {{template "x"}}b"}`:       "begins and ends differently",
		`{{define "x"}}{{template "y"}}{{end}}{{template "x"}}`: "not defined",
		`{"a": {{.Operation}}{{.Operation}}}`:                   "not JSON",
		`{"a": {{.Operation}},}`:                                "not JSON",
		`{"a": {{raw .Operation}}}`:                             "not JSON",
		`{"a": 1} {"b": 2}`:                                     "not JSON",
		``:                                                      "not JSON",
		`{"a": {{_ddltail_json_value .ID}}}`:                    "not defined",
		`{"a": "{{index .Changes 1000 | printf "%v"}}"}`:        "render a sample",
		`{{define "x"}}{{template "x"}}{{end}}{{template "x"}}`: "exceeded maximum template depth",
	} {
		if _, err := parseTemplate(kindJSON, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

// TestHostileTemplates renders every hostile name with templates of both kinds.
func TestHostileTemplates(t *testing.T) {
	for _, name := range hostileNames() {
		body, err := render(t, kindJSON, `{"in": "<{{.Namespace}}>", "out": {{.Namespace}}, "user": "{{.User}}", "all": {{.Document}}}`, named(t, name))
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		var got struct {
			In, Out, User string
			All           map[string]any
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		want := strings.ToValidUTF8(name, "\uFFFD")
		if utf8.ValidString(name) && (got.In != "<"+want+"."+want+">" || got.Out != want+"."+want || got.User != want || got.All["collection"] != want) {
			t.Errorf("%q: got %+v", name, got)
		}
		text, err := render(t, kindText, "{{.Operation}} {{.Namespace}}\n", named(t, name))
		if err != nil || strings.Count(text, "\n") != 1 || strings.ContainsFunc(strings.TrimSuffix(text, "\n"), func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q: got %q, %v", name, text, err)
		}
	}
}

// FuzzEscaped checks that no name changes the structure of a JSON template's result.
func FuzzEscaped(f *testing.F) {
	for _, name := range hostileNames() {
		f.Add(name)
	}
	parsed, err := parseTemplate(kindJSON, `{"a": "{{.Namespace}}", "b": [{{.Namespace}}, {{if .Undo}}"{{.Undo}}"{{else}}0{{end}}], "{{.Operation}}": {{.Document}}}`)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name string) {
		p, err := parsed.render([]Notification{named(t, name)})
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(p.body, &got); err != nil {
			t.Fatal(err)
		}
		list, _ := got["b"].([]any)
		if len(got) != 3 || len(list) != 2 || slices.Contains(list, any(0.0)) != (name == "") {
			t.Errorf("%q changes the structure: %s", name, p.body)
		}
	})
}
