// Package drift compares a declared schema with a live one.
//
// It is pure: the caller reads both schemas, and the changes that caused the differences.
package drift

import (
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/schema"
)

// Kind is the kind of a difference.
type Kind string

// The kinds of differences.
const (
	// Missing: the object is declared, but not live.
	Missing Kind = "missing"
	// Unexpected: the object is live, but not declared.
	Unexpected Kind = "unexpected"
	// Different: the object is declared and live, with different definitions.
	Different Kind = "different"
)

// Kinds lists all kinds.
func Kinds() []Kind { return []Kind{Missing, Unexpected, Different} }

// Difference is an object, a namespace or one of its indexes, that differs from the declaration.
type Difference struct {
	Kind      Kind
	Namespace schema.Namespace
	// Index is the name of the index; empty for the namespace itself.
	Index string
	// Details are the differing options; empty for Missing and Unexpected.
	Details []Detail
	// Cause is the change that caused the difference; nil if the history has none.
	Cause *Cause
}

// Detail is one option in both forms; the zero value of a form means that it is not set.
type Detail struct {
	Option         string
	Declared, Live bson.RawValue
}

// Cause is a change of the history.
type Cause struct {
	ID        string
	Time      time.Time
	Operation string
	// Actor is the user who made it; empty if not known.
	Actor string
}

// ID identifies the difference: unexpected:shop.orders:amount_1.
func (d Difference) ID() string {
	id := string(d.Kind) + ":" + d.Namespace.String()
	if d.Index != "" {
		id += ":" + d.Index
	}
	return id
}

// LiveIndex returns the name of the live index, which differs from Index if the index exists with
// another name.
func (d Difference) LiveIndex() string {
	for _, detail := range d.Details {
		if name, ok := detail.Live.StringValueOK(); ok && d.Index != "" && detail.Option == "name" {
			return name
		}
	}
	return d.Index
}

// Scope selects the parts of the live schema that are compared.
type Scope struct {
	// Exact also compares collections and views that the declaration does not name.
	Exact bool
	// Includes selects namespaces; nil for all.
	Includes func(schema.Namespace) bool
	// Unknown reports whether the server cannot list a namespace, which is then not compared.
	Unknown func(schema.Namespace) bool
}

// Compare returns the differences in the order of namespaces and indexes. A declared namespace is
// compared completely, with its options and all its indexes. The indexes of GridFS, and objects that
// servers create by themselves, are not differences.
func Compare(declared, live schema.Definitions, s Scope) []Difference {
	var out []Difference
	for _, ns := range union(declared, live) {
		if s.Includes != nil && !s.Includes(ns) || s.Unknown != nil && s.Unknown(ns) {
			continue
		}
		want, isDeclared := declared[ns]
		have, isLive := live[ns]
		switch {
		case !isLive:
			out = append(out, Difference{Kind: Missing, Namespace: ns})
		case isDeclared:
			out = append(out, definitions(ns, want, have)...)
		case s.Exact && !isGridFS(ns, have):
			out = append(out, Difference{Kind: Unexpected, Namespace: ns})
		}
	}
	return out
}

func union(a, b schema.Definitions) []schema.Namespace {
	all := append(a.Namespaces(), b.Namespaces()...)
	slices.SortFunc(all, schema.Namespace.Compare)
	return slices.Compact(all)
}

// definitions compares one namespace that is both declared and live.
func definitions(ns schema.Namespace, want, have schema.Definition) []Difference {
	if want.Kind != have.Kind {
		return []Difference{{Kind: Different, Namespace: ns, Details: []Detail{{
			Option: "type", Declared: text(string(want.Kind)), Live: text(string(have.Kind)),
		}}}}
	}
	var out []Difference
	if want.Known() && !schema.EquivalentOptions(want.Options, have.Options) {
		out = append(out, Difference{Kind: Different, Namespace: ns, Details: details(want.Options, have.Options, schema.DifferingOptions)})
	}
	return append(out, indexes(ns, want, have)...)
}

func text(s string) bson.RawValue {
	kind, data, err := bson.MarshalValue(s)
	if err != nil {
		return bson.RawValue{}
	}
	return bson.RawValue{Type: kind, Value: data}
}

func details(want, have bson.Raw, differing func(a, b bson.Raw) []string) []Detail {
	var out []Detail
	for _, name := range differing(want, have) {
		out = append(out, Detail{Option: name, Declared: want.Lookup(name), Live: have.Lookup(name)})
	}
	return out
}

// indexes matches indexes by name, then by definition: a server has only one index with a key and
// its options, under the name that it got first.
func indexes(ns schema.Namespace, want, have schema.Definition) []Difference {
	var out []Difference
	renamed := map[string]bool{}
	for _, spec := range want.Indexes {
		name := schema.IndexName(spec)
		live := have.Index(name)
		if live != nil && schema.EquivalentIndex(spec, live) {
			continue
		}
		d := Difference{Kind: Missing, Namespace: ns, Index: name}
		if live == nil {
			live = sameButName(spec, want, have)
			renamed[schema.IndexName(live)] = live != nil
		}
		if live != nil {
			d.Kind, d.Details = Different, details(spec, live, schema.DifferingIndex)
		}
		out = append(out, d)
	}
	for _, spec := range have.Indexes {
		name := schema.IndexName(spec)
		if want.Index(name) == nil && !renamed[name] && !gridFSIndex(ns, name) && !schema.IsServerIndex(have, spec) {
			out = append(out, Difference{Kind: Unexpected, Namespace: ns, Index: name})
		}
	}
	slices.SortFunc(out, func(a, b Difference) int { return strings.Compare(a.Index, b.Index) })
	return out
}

// sameButName returns a live index whose name is not declared, but which is otherwise equal to a
// declared one.
func sameButName(spec bson.Raw, want, have schema.Definition) bson.Raw {
	for _, live := range have.Indexes {
		if want.Index(schema.IndexName(live)) == nil && schema.EquivalentIndex(spec, live, "name") {
			return live
		}
	}
	return nil
}

// gridFSIndex recognises the indexes that drivers create with GridFS.
func gridFSIndex(ns schema.Namespace, name string) bool {
	switch {
	case strings.HasSuffix(ns.Collection, ".files"):
		return name == "filename_1_uploadDate_1"
	case strings.HasSuffix(ns.Collection, ".chunks"):
		return name == "files_id_1_n_1"
	}
	return false
}

// isGridFS recognises a collection of GridFS by its name and its index.
func isGridFS(ns schema.Namespace, def schema.Definition) bool {
	return len(def.Indexes) == 1 && gridFSIndex(ns, schema.IndexName(def.Indexes[0]))
}
