package declaration

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/migration"
	"github.com/ddltail/ddltail/internal/schema"
)

// Write writes definitions as a declaration for Read: depending on the path as a script (*.js),
// JSON, YAML, or a folder with a JSON file for each namespace. The same definitions result in the
// same bytes; names are sorted, so that diffs are small. Existing files of a folder are not
// removed.
func Write(path string, all schema.Definitions) error {
	switch kindOf(path) {
	case asScript:
		script := migration.Create(all)
		if n := script.Unsaid(); n > 0 {
			return fmt.Errorf("%d of the definitions cannot be written in mongosh; write *.json", n)
		}
		return writeFile(path, []byte(script.String()))
	case asJSON:
		return writeFile(path, asListing(all))
	case asYAML:
		text, err := yamlOf(asListing(all))
		if err != nil {
			return fmt.Errorf("write the declaration as YAML: %w", err)
		}
		return writeFile(path, text)
	case unreadable:
		if filepath.Ext(path) == "" || isFolder(path) {
			return writeFolder(path, all)
		}
	}
	return &Error{File: path, Problem: "cannot be written; expected *.js, *.json, *.yaml or a folder"}
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// writeFile replaces the file atomically.
func writeFile(path string, text []byte) error {
	temporary := path + ".tmp"
	if err := os.WriteFile(temporary, text, 0o644); err != nil {
		return fmt.Errorf("write the declaration: %w", err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("write the declaration: %w", err)
	}
	return nil
}

func writeFolder(folder string, all schema.Definitions) error {
	for _, ns := range all.Namespaces() {
		dir := filepath.Join(folder, url.PathEscape(ns.Database))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("write the declaration: %w", err)
		}
		var b bytes.Buffer
		w := writer{out: &b}
		w.collection(ns, all[ns], pair{"db", ns.Database})
		b.WriteByte('\n')
		if err := writeFile(filepath.Join(dir, fileName(ns.Collection)), b.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// maxFileName is the length in bytes above which the name of a file is shortened: file systems
// allow 255.
const maxFileName = 200

// fileName escapes a name, also if it ends like a file of mongodump. The name of the collection is
// also in the file.
func fileName(collection string) string {
	name := url.PathEscape(collection)
	if len(name) > maxFileName {
		name = fmt.Sprintf("%s-%x", name[:maxFileName], sha256.Sum256([]byte(collection)))[:maxFileName+13]
	}
	if strings.HasPrefix(name, ".") || name == "prelude" || strings.HasSuffix(name, ".metadata") {
		name = "%" + fmt.Sprintf("%02X", name[0]) + name[1:]
	}
	return name + ".json"
}

func asListing(all schema.Definitions) []byte {
	var b bytes.Buffer
	w := writer{out: &b}
	w.open("{")
	w.key("databases")
	w.open("[")
	var databases []string
	for _, ns := range all.Namespaces() {
		databases = append(databases, ns.Database)
	}
	slices.Sort(databases)
	for _, db := range slices.Compact(databases) {
		w.next()
		w.open("{")
		w.key("db")
		w.text(db)
		w.key("collections")
		w.open("[")
		for _, ns := range all.Namespaces() {
			if ns.Database == db {
				w.next()
				w.collection(ns, all[ns])
			}
		}
		w.close("]")
		w.close("}")
	}
	w.close("]")
	w.close("}")
	b.WriteByte('\n')
	return b.Bytes()
}

type pair struct{ key, value string }

// writer writes indented JSON. Short documents with only scalars, such as a key or a collation,
// are written on one line.
type writer struct {
	out   *bytes.Buffer
	depth int
	// first is true after an opening bracket.
	first bool
}

const maxInline = 100

func (w *writer) open(bracket string) {
	w.out.WriteString(bracket)
	w.depth++
	w.first = true
}

func (w *writer) close(bracket string) {
	w.depth--
	if !w.first {
		w.line()
	}
	w.out.WriteString(bracket)
	w.first = false
}

func (w *writer) line() { w.out.WriteString("\n" + strings.Repeat("  ", w.depth)) }

func (w *writer) next() {
	if !w.first {
		w.out.WriteByte(',')
	}
	w.first = false
	w.line()
}

func (w *writer) key(name string) {
	w.next()
	w.text(name)
	w.out.WriteString(": ")
}

func (w *writer) text(s string) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	// Encoding a string cannot fail.
	_ = enc.Encode(s)
	w.out.Write(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

func (w *writer) collection(ns schema.Namespace, def schema.Definition, more ...pair) {
	w.open("{")
	for _, f := range more {
		w.key(f.key)
		w.text(f.value)
	}
	w.key("name")
	w.text(ns.Collection)
	w.key("type")
	w.text(string(def.Kind))
	w.key("options")
	w.document(def.Options)
	if def.Kind != schema.KindView {
		w.key("indexes")
		w.indexes(def.Indexes)
	}
	w.close("}")
}

func (w *writer) indexes(specs []bson.Raw) {
	sorted := slices.SortedFunc(slices.Values(specs), func(a, b bson.Raw) int {
		return strings.Compare(schema.IndexName(a), schema.IndexName(b))
	})
	w.open("[")
	for _, spec := range sorted {
		w.next()
		w.document(spec)
	}
	w.close("]")
}

func (w *writer) document(doc bson.Raw) {
	elems, err := doc.Elements()
	if err != nil || len(elems) == 0 {
		w.out.WriteString("{}")
		return
	}
	if inline, ok := inlined(doc); ok && w.depth > 3 {
		w.out.WriteString(inline)
		return
	}
	w.open("{")
	for _, el := range elems {
		w.key(el.Key())
		w.value(el.Value())
	}
	w.close("}")
}

// inlined returns a document on one line if it is short and contains no other document.
func inlined(doc bson.Raw) (string, bool) {
	var b bytes.Buffer
	w := writer{out: &b}
	elems, err := doc.Elements()
	if err != nil {
		return "", false
	}
	b.WriteByte('{')
	for i, el := range elems {
		if i > 0 {
			b.WriteString(", ")
		}
		w.text(el.Key())
		b.WriteString(": ")
		if el.Value().Type == bson.TypeEmbeddedDocument || el.Value().Type == bson.TypeArray {
			return "", false
		}
		w.value(el.Value())
	}
	b.WriteByte('}')
	return b.String(), b.Len() <= maxInline
}

func (w *writer) value(v bson.RawValue) {
	switch v.Type {
	case bson.TypeEmbeddedDocument:
		doc, _ := v.DocumentOK()
		w.document(doc)
	case bson.TypeArray:
		array, _ := v.ArrayOK()
		w.array(array)
	case bson.TypeString:
		w.text(v.StringValue())
	default:
		w.out.WriteString(scalar(v))
	}
}

func (w *writer) array(array bson.RawArray) {
	values, err := array.Values()
	if err != nil || len(values) == 0 {
		w.out.WriteString("[]")
		return
	}
	w.open("[")
	for _, v := range values {
		w.next()
		w.value(v)
	}
	w.close("]")
}

// scalar returns a value in relaxed Extended JSON if that is read as the same type, and otherwise
// in the canonical form: {"$numberLong": "5"}.
func scalar(v bson.RawValue) string {
	for _, canonical := range []bool{false, true} {
		text, err := bson.MarshalExtJSON(bson.D{{Key: "v", Value: v}}, canonical, false)
		var back bson.Raw
		if err != nil || bson.UnmarshalExtJSON(text, false, &back) != nil {
			continue
		}
		if canonical || back.Lookup("v").Equal(v) {
			return strings.TrimSuffix(strings.TrimPrefix(string(text), `{"v":`), "}")
		}
	}
	return "null"
}
