package declaration

import (
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/schema"
)

// listing reads JSON and YAML of the shape of listCollections and listIndexes:
//
//	{db: NAME, collections: [{name, type, options, indexes: [SPEC, …]}, …]}
//
// an array of these, or {databases: [these]}. A single collection is accepted too, with db and
// name, and its listing apart from its indexes, as {collection, indexes}. A file of
// mongodump's names neither.
type listing struct {
	builder
	file string
	// db and name are those of the file, for what names none; empty where it has none.
	db, name string
}

func (l listing) mistake(n node, format string, args ...any) error {
	line, column := n.position()
	return &Error{File: l.file, Line: line, Column: column, Problem: fmt.Sprintf(format, args...)}
}

// read accepts any of the shapes.
func (l listing) read(n node) error {
	if all := n.elements(); all != nil {
		for _, e := range all {
			if err := l.read(e); err != nil {
				return err
			}
		}
		return nil
	}
	fields := n.fields()
	if fields == nil {
		return l.mistake(n, "expected a document or an array of documents")
	}
	if db, ok, err := l.textOf(fields, "db"); err != nil {
		return err
	} else if ok {
		l.db = db
	}
	for _, f := range fields {
		switch f.key {
		case "databases", "collections", "namespaces":
			if f.value.elements() == nil {
				return l.mistake(f.value, "expected an array behind %s", f.key)
			}
			return l.read(f.value)
		}
	}
	return l.collection(n, fields)
}

func (l listing) textOf(fields []field, key string) (string, bool, error) {
	for _, f := range fields {
		if f.key != key {
			continue
		}
		text, ok := f.value.text()
		if !ok || text == "" {
			return "", false, l.mistake(f.value, "expected a string behind %s", key)
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

func (l listing) collection(n node, fields []field) error {
	i := info{name: l.name}
	if err := l.readInfo(fields, &i); err != nil {
		return err
	}
	ns := schema.Namespace{Database: l.db, Collection: i.name}
	if l.db == "" {
		return l.mistake(n, "the database is not named; expected db: NAME beside the collections")
	}
	if i.name == "" {
		return l.mistake(n, "the collection is not named; expected name: NAME")
	}
	def, err := i.definition()
	if err != nil {
		return l.mistake(n, "%s", err)
	}
	if _, known := l.definitions[ns]; known {
		return l.mistake(n, "%s is declared twice", ns)
	}
	if err := validNamespace(ns); err != nil {
		return l.mistake(n, "%s", err)
	}
	for _, raw := range i.indexes {
		spec, err := listedIndex(raw)
		if err != nil {
			return l.mistake(raw, "%s", err)
		}
		if spec == nil {
			continue
		}
		if def.Index(schema.IndexName(spec)) != nil {
			return l.mistake(raw, "the index %s of %s is declared twice", schema.IndexName(spec), ns)
		}
		def = def.WithIndex(spec)
	}
	l.definitions[ns] = def
	return nil
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
				return l.mistake(f.value, "%s", err)
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
			return l.mistake(f.value, "%s is not read; expected db, name, type, options or indexes", f.key)
		}
	}
	return nil
}

func known(k schema.Kind) bool {
	return k == schema.KindCollection || k == schema.KindView || k == schema.KindTimeSeries
}

// definition infers a type that was left out from the options.
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
