package declaration

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/schema"
)

// listing reads JSON and YAML like the output of listCollections and listIndexes:
//
//	{db: NAME, collections: [{name, type, options, indexes: [SPEC, …]}, …]}
//
// an array of these, or {databases: [these]}. A single collection is accepted too, with db and
// name, or with its listing separate from its indexes: {collection, indexes}. A file of mongodump
// contains neither name.
type listing struct {
	builder
	file string
	// db and name are from the file's path, for content without names; empty if not known.
	db, name string
}

func (l listing) mistake(n node, format string, args ...any) error {
	line, column := n.position()
	return &Error{File: l.file, Line: line, Column: column, Problem: fmt.Sprintf(format, args...)}
}

// read accepts any of the forms.
func (l listing) read(n node) error {
	if all := n.elements(); all != nil {
		return l.readAll(all)
	}
	fields := n.fields()
	if fields == nil {
		return l.mistake(n, "expected a document or an array of documents")
	}
	l, err := l.of(fields)
	if err != nil {
		return err
	}
	if inner := innerOf(fields); inner != nil {
		all := inner.value.elements()
		if all == nil {
			return l.mistake(inner.value, "expected an array as the value of %s", inner.key)
		}
		return l.readAll(all)
	}
	return l.add(l.define(n, fields))
}

// of returns the listing with the database of a document.
func (l listing) of(fields []field) (listing, error) {
	db, ok, err := l.textOf(fields, "db")
	if ok {
		l.db = db
	}
	return l, err
}

// innerOf returns the field of a document that contains other documents; nil for a collection.
func innerOf(fields []field) *field {
	for i, f := range fields {
		switch f.key {
		case "databases", "collections", "namespaces":
			return &fields[i]
		}
	}
	return nil
}

// batch is how many collections are decoded at the same time, on all processors.
const batch = 1024

// readAll reads an array. Collections are decoded in batches, and added in their order.
func (l listing) readAll(all []node) error {
	for part := range slices.Chunk(all, batch) {
		decoded := l.decode(part)
		for i, n := range part {
			var err error
			if c := decoded[i]; c.node == nil {
				err = l.read(n)
			} else {
				err = l.add(c)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// decode decodes those nodes that are collections.
func (l listing) decode(part []node) []collection {
	out := make([]collection, len(part))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := next.Add(1) - 1; int(i) < len(part); i = next.Add(1) - 1 {
				fields := part[i].fields()
				l, err := l.of(fields)
				if fields != nil && err == nil && innerOf(fields) == nil {
					out[i] = l.define(part[i], fields)
				}
			}
		})
	}
	workers.Wait()
	return out
}

func (l listing) textOf(fields []field, key string) (string, bool, error) {
	for _, f := range fields {
		if f.key != key {
			continue
		}
		text, ok := f.value.text()
		if !ok || text == "" {
			return "", false, l.mistake(f.value, "expected a string as the value of %s", key)
		}
		return text, true, nil
	}
	return "", false, nil
}

// info is a collection as it was written.
type info struct {
	name    string
	kind    schema.Kind
	options bson.D
	indexes []node
}

// collection is a decoded collection, or the error in it.
type collection struct {
	node node
	ns   schema.Namespace
	def  schema.Definition
	err  error
}

// add declares a collection.
func (l listing) add(c collection) error {
	if c.err != nil {
		return c.err
	}
	if _, known := l.definitions[c.ns]; known {
		return l.mistake(c.node, "%s is declared twice", c.ns)
	}
	l.definitions[c.ns] = c.def
	return nil
}

// define decodes a collection.
func (l listing) define(n node, fields []field) collection {
	c := collection{node: n}
	i := info{name: l.name}
	if c.err = l.readInfo(fields, &i); c.err != nil {
		return c
	}
	c.ns = schema.Namespace{Database: l.db, Collection: i.name}
	switch {
	case l.db == "":
		c.err = l.mistake(n, "the database is not named; expected db: NAME next to the collections")
	case i.name == "":
		c.err = l.mistake(n, "the collection is not named; expected name: NAME")
	default:
		if err := validNamespace(c.ns); err != nil {
			c.err = l.mistake(n, "%s", err)
		}
	}
	if c.err != nil {
		return c
	}
	def, err := i.definition()
	if err != nil {
		c.err = l.mistake(n, "%s", err)
		return c
	}
	c.def, c.err = l.withIndexes(c.ns, def, i.indexes)
	return c
}

func (l listing) withIndexes(ns schema.Namespace, def schema.Definition, indexes []node) (schema.Definition, error) {
	for _, raw := range indexes {
		spec, err := listedIndex(raw)
		if err != nil {
			at, cause := innermost(raw, err)
			return def, l.mistake(at, "%s", cause)
		}
		if spec == nil {
			continue
		}
		if def.Index(schema.IndexName(spec)) != nil {
			return def, l.mistake(raw, "the index %s of %s is declared twice", schema.IndexName(spec), ns)
		}
		def = def.WithIndex(spec)
	}
	return def, nil
}

func (l listing) readInfo(fields []field, i *info) error {
	for _, f := range fields {
		text, isText := f.value.text()
		switch f.key {
		case "name", "collectionName":
			if !isText {
				return l.mistake(f.value, "expected the name of a collection")
			}
			i.name = text
		case "type":
			if i.kind = schema.Kind(text); !isText || !known(i.kind) {
				return l.mistake(f.value, "expected collection, view or timeseries")
			}
		case "options":
			var err error
			if i.options, err = f.value.document(); err != nil {
				at, cause := innermost(f.value, err)
				return l.mistake(at, "%s", cause)
			}
		case "indexes":
			if i.indexes = f.value.elements(); i.indexes == nil {
				return l.mistake(f.value, "expected an array of index specs")
			}
		case "collection":
			if err := l.readInfo(f.value.fields(), i); err != nil {
				return err
			}
		case "db", "info", "idIndex", "uuid":
		default:
			return l.mistake(f.value, "%s is not supported; expected db, name, type, options or indexes", f.key)
		}
	}
	return nil
}

func known(k schema.Kind) bool {
	return k == schema.KindCollection || k == schema.KindView || k == schema.KindTimeSeries
}

// definition infers a missing type from the options.
func (i info) definition() (schema.Definition, error) {
	kind := i.kind
	switch {
	case kind != "":
	case has(i.options, "viewOn"):
		kind = schema.KindView
	case has(i.options, "timeseries"):
		kind = schema.KindTimeSeries
	}
	options := i.options
	if options == nil {
		options = bson.D{}
	}
	if kind == schema.KindTimeSeries {
		options = withGranularity(options)
	}
	raw, err := bson.Marshal(options)
	if err != nil {
		return schema.Definition{}, fmt.Errorf("options: %w", err)
	}
	return schema.ListedDefinition(kind, raw, schema.Definition{}.UUID)
}

// listedIndex returns nil for the index on _id, which every collection has.
func listedIndex(n node) (bson.Raw, error) {
	spec, err := n.document()
	if err != nil {
		return nil, err
	}
	key, _ := lookup(spec, "key")
	fields, isKey := key.(bson.D)
	name, named := lookup(spec, "name")
	if !named {
		name = defaultName(fields)
		spec = append(spec, bson.E{Key: "name", Value: name})
	}
	text, isText := name.(string)
	if !isKey || len(fields) == 0 || !isText || text == "" {
		return nil, errors.New("expected key: {FIELD: 1, …} and a name")
	}
	if clustered, _ := lookup(spec, "clustered"); text == "_id_" || clustered == true {
		return nil, nil //nolint:nilnil // no index, and no error
	}
	raw, err := bson.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("the index %s: %w", text, err)
	}
	return raw, nil
}
