package declaration

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// node is a value of a JSON or YAML file, with its position.
type node interface {
	// fields returns the fields of a document, elements those of an array; nil for others.
	fields() []field
	elements() []node
	// text returns a string.
	text() (string, bool)
	// document decodes a document from Extended JSON.
	document() (bson.D, error)
	position() (line, column int)
}

type field struct {
	key   string
	value node
}

// jsonNode is a value of a valid JSON text. It is not copied, since a declaration can be large.
type jsonNode struct {
	all        []byte
	start, end int
}

// parseJSON validates the whole text.
func parseJSON(name string, data []byte) (node, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if !utf8.Valid(data) {
		line, column := place(data, invalid(data))
		return nil, &Error{File: name, Line: line, Column: column, Problem: "not JSON: a byte that is not UTF-8"}
	}
	var ignored discard
	err := json.Unmarshal(data, &ignored)
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		line, column := place(data, int(syntax.Offset)-1)
		return nil, &Error{File: name, Line: line, Column: column, Problem: "not JSON: " + syntax.Error()}
	case err != nil:
		return nil, &Error{File: name, Problem: "not JSON: " + err.Error()}
	}
	n := jsonNode{all: data}
	n.start = skipSpace(data, 0)
	n.end = skipValue(data, n.start)
	return n, nil
}

// invalid returns the offset of the first byte that is not UTF-8.
func invalid(data []byte) int {
	i := 0
	for i < len(data) {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		i += size
	}
	return i
}

// discard accepts any value and ignores it.
type discard struct{}

func (*discard) UnmarshalJSON([]byte) error { return nil }

// place returns the line and column of an offset.
func place(data []byte, offset int) (line, column int) {
	before := data[:max(0, min(offset, len(data)))]
	line = 1 + bytes.Count(before, []byte("\n"))
	return line, 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
}

func (n jsonNode) position() (int, int) { return place(n.all, n.start) }

func (n jsonNode) raw() []byte { return n.all[n.start:n.end] }

func (n jsonNode) fields() []field {
	if n.all[n.start] != '{' {
		return nil
	}
	out := []field{}
	for i := skipSpace(n.all, n.start+1); n.all[i] != '}'; {
		end := skipValue(n.all, i)
		var key string
		// The text is valid.
		_ = json.Unmarshal(n.all[i:end], &key)
		i = skipSpace(n.all, skipSpace(n.all, end)+1)
		value := jsonNode{all: n.all, start: i, end: skipValue(n.all, i)}
		out = append(out, field{key, value})
		i = skipComma(n.all, value.end)
	}
	return out
}

func (n jsonNode) elements() []node {
	if n.all[n.start] != '[' {
		return nil
	}
	out := []node{}
	for i := skipSpace(n.all, n.start+1); n.all[i] != ']'; {
		value := jsonNode{all: n.all, start: i, end: skipValue(n.all, i)}
		out = append(out, value)
		i = skipComma(n.all, value.end)
	}
	return out
}

func (n jsonNode) text() (string, bool) {
	var s string
	return s, n.all[n.start] == '"' && json.Unmarshal(n.raw(), &s) == nil
}

func (n jsonNode) document() (bson.D, error) {
	if n.all[n.start] != '{' {
		return nil, errors.New("expected a document")
	}
	doc := bson.D{}
	if err := bson.UnmarshalExtJSON(n.raw(), false, &doc); err != nil {
		return nil, fmt.Errorf("not Extended JSON: %w", err)
	}
	return doc, nil
}

// innermost returns the innermost document that cannot be decoded, and its error; n and its own error if none below it is wrong.
func innermost(n node, err error) (node, error) {
	for _, f := range n.fields() {
		if at, cause := failing(f.value); at != nil {
			return at, cause
		}
	}
	return n, err
}

// failing returns the innermost document at or below a value that cannot be decoded, nil if there is none.
func failing(n node) (node, error) {
	if n.fields() != nil {
		if _, err := n.document(); err != nil {
			return innermost(n, err)
		}
		return nil, nil
	}
	for _, e := range n.elements() {
		if at, cause := failing(e); at != nil {
			return at, cause
		}
	}
	return nil, nil
}

func skipSpace(data []byte, i int) int {
	for i < len(data) && (data[i] == ' ' || data[i] == '\t' || data[i] == '\n' || data[i] == '\r') {
		i++
	}
	return i
}

func skipComma(data []byte, i int) int {
	i = skipSpace(data, i)
	if data[i] == ',' {
		i = skipSpace(data, i+1)
	}
	return i
}

// skipValue returns the end of the value at i.
func skipValue(data []byte, i int) int {
	switch data[i] {
	case '"':
		return skipString(data, i)
	case '{', '[':
		return skipContainer(data, i)
	}
	for i < len(data) && !bytes.ContainsRune([]byte(" \t\r\n,:]}"), rune(data[i])) {
		i++
	}
	return i
}

func skipString(data []byte, i int) int {
	for i++; data[i] != '"'; i++ {
		if data[i] == '\\' {
			i++
		}
	}
	return i + 1
}

func skipContainer(data []byte, i int) int {
	for depth := 0; ; i++ {
		switch data[i] {
		case '"':
			i = skipString(data, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
}
