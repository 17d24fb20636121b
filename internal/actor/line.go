// Package actor finds out who made a schema change, from lines of the server's structured log.
//
// It is pure: a [Log] accepts lines and states of one member, and finds the actor of an oplog entry. If the evidence is not
// sufficient, or two connections are candidates, there is no actor.
package actor

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// maxDepth bounds the nesting of parsed lines: BSON allows 200 levels.
const maxDepth = 250

// idWindow is the length within which a line has its id: only the time, severity, component and service come before it.
const idWindow = 160

// Line is one line of the structured log. For a truncated line, it holds the fields that are complete.
type Line struct {
	Time    time.Time
	ID      int
	Context string
	attr    object
	cut     bool
}

// object is a JSON object that keeps the first of two fields with the same name.
type object map[string]any

// LineID returns the id of a raw line without parsing the rest. Texts chosen by a client come after the id.
func LineID(raw []byte) (int, bool) {
	head := raw[:min(len(raw), idWindow)]
	_, rest, found := bytes.Cut(head, []byte(`"id":`))
	if !found {
		return 0, false
	}
	rest = bytes.TrimLeft(rest, " ")
	end := bytes.IndexByte(rest, ',')
	if end < 0 {
		return 0, false
	}
	id, err := strconv.Atoi(string(rest[:end]))
	return id, err == nil
}

// isTorn reports whether another line begins within a raw line: the end of the first one was never written, as on a full disk, or where
// the process that captures the output was killed. In what a client chose, quotes are escaped; a document that the server logs has no
// spaces between its fields.
func isTorn(raw []byte) bool {
	for rest := raw[min(1, len(raw)):]; ; {
		_, after, found := bytes.Cut(rest, []byte(`{"t":{"$date":"`))
		if !found {
			return false
		}
		rest = after
		_, after, _ = bytes.Cut(after[:min(len(after), idWindow)], []byte(`"},"s":`))
		severity, after, _ := bytes.Cut(after, []byte(","))
		if longest := len(`"D1"`); len(severity) <= longest && bytes.HasPrefix(after, []byte(" ")) {
			return true
		}
	}
}

// ParseLine parses a raw line, complete or truncated. It reports false if id or context is missing.
func ParseLine(raw []byte) (Line, bool) {
	p := parser{dec: json.NewDecoder(bytes.NewReader(raw)), size: int64(len(raw))}
	p.dec.UseNumber()
	value, err := p.value(0)
	cut := errors.Is(err, errCut)
	if err != nil && !cut {
		return Line{}, false
	}
	root, _ := value.(object)
	id, err := strconv.Atoi(root.text("id"))
	if err != nil || root.text("ctx") == "" {
		return Line{}, false
	}
	at, err := time.Parse("2006-01-02T15:04:05.000Z07:00", root.object("t").text("$date"))
	if err != nil {
		return Line{}, false
	}
	// A server leaves out elements of a long attribute, and names them here.
	_, truncated := root["truncated"]
	return Line{Time: at, ID: id, Context: root.text("ctx"), attr: root.object("attr"), cut: cut || truncated}, true
}

var errCut = errors.New("the line is truncated")

type parser struct {
	dec  *json.Decoder
	size int64
}

// value returns the next value. With errCut, an object holds its complete fields and everything else is absent.
func (p parser) value(depth int) (any, error) {
	token, err := p.dec.Token()
	if err != nil {
		return nil, cut(err)
	}
	switch t := token.(type) {
	case json.Delim:
		if depth > maxDepth {
			return nil, errors.New("too deeply nested")
		}
		if t == '{' {
			return p.object(depth)
		}
		return p.array(depth)
	case json.Number:
		if p.dec.InputOffset() >= p.size { // 12 may be the start of 123
			return nil, errCut
		}
		return t.String(), nil
	}
	return token, nil
}

func (p parser) object(depth int) (object, error) {
	o := object{}
	for p.dec.More() {
		key, err := p.dec.Token()
		if err != nil {
			return o, cut(err)
		}
		name, _ := key.(string)
		value, err := p.value(depth + 1)
		if _, exists := o[name]; value != nil && !exists {
			o[name] = value
		}
		if err != nil {
			return o, err
		}
	}
	if _, err := p.dec.Token(); err != nil {
		return o, cut(err)
	}
	return o, nil
}

// array returns only a complete array: a truncated one would be a different value.
func (p parser) array(depth int) (any, error) {
	values := []any{}
	for p.dec.More() {
		value, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	if _, err := p.dec.Token(); err != nil {
		return nil, cut(err)
	}
	return values, nil
}

// cut converts every syntax error to errCut: the values that were complete before it are used.
func cut(err error) error {
	var syntax *json.SyntaxError
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &syntax) {
		return errCut
	}
	return err
}

func (o object) text(name string) string { s, _ := o[name].(string); return s }

func (o object) object(name string) object { v, _ := o[name].(object); return v }

// timestamp returns an optime's timestamp: {$timestamp: {t, i}}, from 6.0 also {"": {$timestamp: …}}. Any other single name may wrap it.
func (o object) timestamp(name string) bson.Timestamp {
	v := o.object(name)
	if _, plain := v["$timestamp"]; !plain && len(v) == 1 {
		for _, wrapped := range v {
			v, _ = wrapped.(object)
		}
	}
	v = v.object("$timestamp")
	t, errT := strconv.ParseUint(v.text("t"), 10, 32)
	i, errI := strconv.ParseUint(v.text("i"), 10, 32)
	if errT != nil || errI != nil {
		return bson.Timestamp{}
	}
	return bson.Timestamp{T: uint32(t), I: uint32(i)}
}

// UUID identifies a collection or an index build; the zero value means none.
type UUID [16]byte

func (o object) uuid(name string) UUID {
	v := o.object(name)
	if inner, wrapped := v["uuid"].(object); wrapped {
		v = inner
	}
	raw, err := hex.DecodeString(strings.ReplaceAll(v.text("$uuid"), "-", ""))
	if err != nil || len(raw) != len(UUID{}) {
		return UUID{}
	}
	return UUID(raw)
}
