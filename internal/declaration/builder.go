package declaration

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/rawdoc"
	"github.com/ddltail/ddltail/internal/schema"
)

// builder applies statements to definitions as the server would. Its errors have no position,
// which the caller adds.
type builder struct {
	definitions schema.Definitions
}

func newBuilder() builder { return builder{definitions: schema.Definitions{}} }

// commandOptions lists the options of commands that do not belong to the created object.
func commandOptions() []string {
	return []string{"create", "createIndexes", "indexes", "writeConcern", "comment", "commitQuorum", "maxTimeMS", "$db", "lsid"}
}

// create declares a collection, a time series or a view.
func (b builder) create(ns schema.Namespace, options bson.D) error {
	if err := validNamespace(ns); err != nil {
		return err
	}
	def, known := b.definitions[ns]
	if known && def.Known() {
		return fmt.Errorf("%s is declared twice", ns)
	}
	options = slices.DeleteFunc(slices.Clone(options), func(e bson.E) bool { return slices.Contains(commandOptions(), e.Key) })
	def.Kind = schema.KindCollection
	switch {
	case has(options, "viewOn"):
		def.Kind = schema.KindView
	case has(options, "timeseries"):
		def.Kind = schema.KindTimeSeries
		options = withGranularity(options)
	}
	raw, err := bson.Marshal(append(bson.D{}, options...))
	if err != nil {
		return fmt.Errorf("the options of %s: %w", ns, err)
	}
	listed, err := schema.ListedDefinition(def.Kind, raw, def.UUID)
	if err != nil {
		return fmt.Errorf("the options of %s: %w", ns, err)
	}
	if def.Kind == schema.KindView && len(def.Indexes) > 0 {
		return fmt.Errorf("%s is a view and cannot have indexes", ns)
	}
	listed.Indexes = def.Indexes
	b.definitions[ns] = listed
	return nil
}

func validNamespace(ns schema.Namespace) error {
	switch {
	case ns.Database == "":
		return errors.New("no database is selected: begin with use NAME or db.getSiblingDB('NAME')")
	case ns.Collection == "":
		return errors.New("the name of the collection is empty")
	case strings.HasPrefix(ns.Collection, "system."):
		return fmt.Errorf("%s is internal to the server and cannot be declared", ns)
	}
	return nil
}

// withGranularity adds the default that the server stores if a time series has neither a
// granularity nor a bucket span.
func withGranularity(options bson.D) bson.D {
	for i, e := range options {
		series, ok := e.Value.(bson.D)
		if e.Key != "timeseries" || !ok || has(series, "granularity") || has(series, "bucketMaxSpanSeconds") {
			continue
		}
		options[i].Value = append(slices.Clone(series), bson.E{Key: "granularity", Value: "seconds"})
	}
	return options
}

// createIndex declares an index. It is idempotent, as on the server.
func (b builder) createIndex(ns schema.Namespace, key bson.D, options bson.D) error {
	if err := validNamespace(ns); err != nil {
		return err
	}
	if len(key) == 0 {
		return errors.New("an index needs a key")
	}
	def := b.definitions[ns]
	if def.Kind == schema.KindView {
		return fmt.Errorf("%s is a view and cannot have indexes", ns)
	}
	if def.Kind == "" {
		def.Kind = schema.KindCollection
	}
	spec, err := indexSpec(def, key, options)
	if err != nil {
		return err
	}
	name := schema.IndexName(spec)
	if name == "_id_" || isIDKey(key) {
		return nil
	}
	if old := def.Index(name); old != nil && !schema.EquivalentIndex(old, spec) {
		return fmt.Errorf("the index %s of %s is declared twice, in different forms", name, ns)
	}
	b.definitions[ns] = def.WithIndex(spec)
	return nil
}

// isIDKey recognises the index on _id, which every collection has: the server compares the
// direction as an integer. A text or hashed index on _id is another one.
func isIDKey(key bson.D) bool {
	if len(key) != 1 || key[0].Key != "_id" {
		return false
	}
	switch direction := key[0].Value.(type) {
	case int32:
		return direction == 1 || direction == -1
	case int64:
		return direction == 1 || direction == -1
	case float64:
		return int(direction) == 1 || int(direction) == -1
	}
	return false
}

// indexSpec returns the spec that the server stores for a createIndex.
func indexSpec(def schema.Definition, key, options bson.D) (bson.Raw, error) {
	options = slices.DeleteFunc(slices.Clone(options), func(e bson.E) bool { return slices.Contains(commandOptions(), e.Key) })
	name, named := lookup(options, "name")
	if !named {
		name = defaultName(key)
	}
	text, ok := name.(string)
	if !ok || text == "" {
		return nil, errors.New("the name of an index must be a non-empty string")
	}
	options = slices.DeleteFunc(options, func(e bson.E) bool { return e.Key == "name" || e.Key == "key" })
	stored, options := storedText(key, options)
	spec := bson.D{{Key: "key", Value: stored}, {Key: "name", Value: text}}
	spec = append(spec, inheritCollation(def, options)...)
	raw, err := bson.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("the index %s: %w", text, err)
	}
	return raw, nil
}

// defaultName returns the default name of an index in shells and drivers: a_1_b_-1 for {a: 1, b: -1}.
func defaultName(key bson.D) string {
	parts := make([]string, len(key))
	for i, e := range key {
		direction := fmt.Sprint(e.Value)
		if f, ok := e.Value.(float64); ok {
			direction = strconv.FormatFloat(f, 'f', -1, 64)
		}
		parts[i] = e.Key + "_" + direction
	}
	return strings.Join(parts, "_")
}

// storedText returns the stored form of a text index: {title: "text"} becomes
// {_fts: "text", _ftsx: 1} with a weight for each field.
func storedText(key, options bson.D) (bson.D, bson.D) {
	var stored, weights bson.D
	given, _ := lookup(options, "weights")
	heavy, _ := given.(bson.D)
	for _, e := range key {
		if e.Value != "text" || e.Key == "_fts" {
			stored = append(stored, e)
			continue
		}
		if !has(stored, "_fts") {
			stored = append(stored, bson.E{Key: "_fts", Value: "text"}, bson.E{Key: "_ftsx", Value: int32(1)})
		}
		if !has(heavy, e.Key) {
			weights = append(weights, bson.E{Key: e.Key, Value: int32(1)})
		}
	}
	if !has(stored, "_fts") || has(key, "_fts") {
		return key, options
	}
	weights = append(weights, heavy...)
	slices.SortFunc(weights, func(a, b bson.E) int { return strings.Compare(a.Key, b.Key) })
	options = slices.DeleteFunc(slices.Clone(options), func(e bson.E) bool { return e.Key == "weights" })
	return stored, append(options, bson.E{Key: "weights", Value: weights})
}

// inheritCollation adds the collection's default collation to an index without one, as the server
// does; the simple collation is stored as no collation.
func inheritCollation(def schema.Definition, options bson.D) bson.D {
	if given, ok := lookup(options, "collation"); ok {
		if c, isDocument := given.(bson.D); isDocument {
			if locale, _ := lookup(c, "locale"); locale == "simple" {
				return slices.DeleteFunc(slices.Clone(options), func(e bson.E) bool { return e.Key == "collation" })
			}
		}
		return options
	}
	if collation, err := def.Options.LookupErr("collation"); err == nil && !textOr2d(options) {
		return append(slices.Clone(options), bson.E{Key: "collation", Value: collation})
	}
	return options
}

// textOr2d reports whether an index is a text index, which has weights. On a collection with a
// default collation the server requires the simple collation for it.
func textOr2d(options bson.D) bool { return has(options, "weights") }

// modify applies a collMod.
func (b builder) modify(ns schema.Namespace, params bson.D) error {
	def, known := b.definitions[ns]
	if !known || !def.Known() {
		return fmt.Errorf("collMod of %s, which was not declared before", ns)
	}
	params = slices.DeleteFunc(slices.Clone(params), func(e bson.E) bool {
		return e.Key == "collMod" || slices.Contains(commandOptions(), e.Key)
	})
	index, hasIndex := lookup(params, "index")
	params = slices.DeleteFunc(params, func(e bson.E) bool { return e.Key == "index" })
	raw, err := bson.Marshal(params)
	if err == nil && len(params) > 0 {
		def.Options, err = schema.ModifyOptions(def.Options, raw)
	}
	if err != nil {
		return fmt.Errorf("collMod of %s: %w", ns, err)
	}
	if hasIndex {
		if def, err = modifyIndex(def, index); err != nil {
			return fmt.Errorf("collMod of %s: %w", ns, err)
		}
	}
	b.definitions[ns] = def
	return nil
}

func modifyIndex(def schema.Definition, index any) (schema.Definition, error) {
	params, err := bson.Marshal(index)
	if err != nil {
		return def, errors.New("index must be a document")
	}
	spec := def.Index(schema.IndexName(params))
	if spec == nil {
		key, _ := bson.Raw(params).Lookup("keyPattern").DocumentOK()
		i := slices.IndexFunc(def.Indexes, func(s bson.Raw) bool {
			have, _ := s.Lookup("key").DocumentOK()
			return key != nil && string(have) == string(key)
		})
		if i < 0 {
			return def, errors.New("the index was not declared before")
		}
		spec = def.Indexes[i]
	}
	changed, err := schema.ModifyIndex(spec, params)
	if err != nil {
		return def, err
	}
	return def.WithIndex(changed), nil
}

// convertToCapped converts a declared collection to capped.
func (b builder) convertToCapped(ns schema.Namespace, size any) error {
	def, known := b.definitions[ns]
	if !known || !def.Known() {
		return fmt.Errorf("convertToCapped of %s, which was not declared before", ns)
	}
	var err error
	for _, e := range (bson.D{{Key: "capped", Value: true}, {Key: "size", Value: size}}) {
		if def.Options, err = rawdoc.With(def.Options, e.Key, e.Value); err != nil {
			return fmt.Errorf("convertToCapped of %s: %w", ns, err)
		}
	}
	b.definitions[ns] = def
	return nil
}

func lookup(d bson.D, key string) (any, bool) {
	for _, e := range d {
		if e.Key == key {
			return e.Value, true
		}
	}
	return nil, false
}

func has(d bson.D, key string) bool {
	_, ok := lookup(d, key)
	return ok
}
