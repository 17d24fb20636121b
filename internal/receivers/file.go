package receivers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	texttemplate "text/template"
	"time"
)

// kind is the output format of a template file. It determines how every action is escaped.
type kind string

// The kinds, by the end of the file's name, with or without .tmpl.
const (
	kindJSON kind = "json"
	kindText kind = "text"
)

// kindOf returns the kind of a template file.
func kindOf(path string) (kind, bool) {
	switch name := strings.TrimSuffix(path, ".tmpl"); {
	case strings.HasSuffix(name, ".json"):
		return kindJSON, true
	case strings.HasSuffix(name, ".txt"):
		return kindText, true
	}
	return "", false
}

func (k kind) contentType() string {
	if k == kindJSON {
		return jsonType
	}
	return "text/plain; charset=utf-8"
}

// file renders with a user's template.
type file struct {
	kind   kind
	parsed *texttemplate.Template
}

// Data is the data for a template file.
type Data struct {
	// Changes are the notifications, at least one; more than one in a digest.
	Changes []Change
	// Change is the first of them.
	Change
	// Title, Risks, Span, Groups and Command summarize a digest.
	Title, Risks, Span, Command string
	Groups                      []string
}

// maxTemplate bounds a template file, in bytes.
const maxTemplate = 1 << 20

// readTemplate reads and checks a template file: it must render a sample.
func readTemplate(path string) (file, error) {
	k, ok := kindOf(path)
	if !ok {
		return file{}, fmt.Errorf("want a name that ends in .json, .json.tmpl, .txt or .txt.tmpl, which selects how values are escaped")
	}
	info, err := os.Stat(path)
	if err != nil {
		return file{}, withoutPath(err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxTemplate {
		return file{}, fmt.Errorf("want a file of at most %d bytes", maxTemplate)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return file{}, withoutPath(err)
	}
	return parseTemplate(k, string(text))
}

// parseTemplate parses a template, rewrites it to escape every action, and renders samples
// of all operations.
func parseTemplate(k kind, text string) (file, error) {
	parsed, err := texttemplate.New("template").Option("missingkey=error").Funcs(functions()).Parse(text)
	if err != nil {
		return file{}, fmt.Errorf("parse: %w", err)
	}
	if err := escape(parsed, k); err != nil {
		return file{}, err
	}
	f := file{kind: k, parsed: parsed}
	samples := Samples(time.Now())
	for _, all := range append(alone(samples), samples) {
		if _, err := f.render(all); err != nil {
			return file{}, fmt.Errorf("render a sample of %d: %w", len(all), err)
		}
	}
	return f, nil
}

func alone(all []Notification) [][]Notification {
	out := make([][]Notification, len(all))
	for i, n := range all {
		out[i] = []Notification{n}
	}
	return out
}

func (f file) render(all []Notification) (payload, error) {
	changes, err := newChanges(all)
	if err != nil {
		return payload{}, err
	}
	d := newDigest(changes, levels()[0])
	var body bytes.Buffer
	err = f.parsed.Execute(&body, Data{
		Changes: changes, Change: changes[0],
		Title: d.title, Risks: d.risks, Span: d.span, Command: d.command, Groups: groupsOf(changes),
	})
	if err != nil {
		return payload{}, fmt.Errorf("execute: %w", err)
	}
	if f.kind == kindJSON {
		if err := validJSON(body.Bytes()); err != nil {
			return payload{}, err
		}
	}
	return payload{body: body.Bytes(), contentType: f.kind.contentType()}, nil
}

// validJSON checks that a body is one JSON value. The error shows no part of it.
func validJSON(body []byte) error {
	var value any
	err := json.Unmarshal(body, &value)
	if err == nil {
		return nil
	}
	at := int64(len(body))
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		at = syntax.Offset
	}
	line := 1 + bytes.Count(body[:min(at, int64(len(body)))], []byte("\n"))
	return fmt.Errorf("the result is not JSON: line %d, byte %d: %w", line, at, err)
}
