// Package schema is the model: namespaces, their definitions and versions, catalogs, and the
// equality of definitions.
//
// It is pure: no I/O and no clock.
package schema

import (
	"regexp"
	"slices"
	"strings"

	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/rawdoc"
)

const (
	// BucketsPrefix precedes the name of a time series in the name of the collection that
	// stores its buckets. Up to 8.x only that collection is listed with a UUID.
	BucketsPrefix = "system.buckets."
	// ReshardingPrefix precedes a collection's UUID in the name of the copy that resharding
	// creates. When resharding ends, the copy with its indexes gets the collection's name.
	ReshardingPrefix = "system.resharding."
	// ViewsCollection holds a document for each view of its database.
	ViewsCollection = "system.views"
)

// Scope decides which namespaces are included. The zero value excludes the server's internal
// namespaces.
type Scope struct {
	// Own are ddltail's own collections, as full namespaces.
	Own []string
}

// IsOwn reports whether a full namespace is one of ddltail's own collections.
func (s Scope) IsOwn(ns string) bool { return slices.Contains(s.Own, ns) }

// Includes reports whether a namespace is part of the catalog.
func (s Scope) Includes(ns Namespace) bool {
	switch ns.Database {
	case "", "admin", "config", "local":
		return false
	}
	if strings.HasPrefix(ns.Database, "__mdb_internal_") || s.IsOwn(ns.String()) {
		return false
	}
	return !strings.HasPrefix(ns.Collection, "system.") || strings.HasPrefix(ns.Collection, ReshardingPrefix)
}

// generatedPattern matches the collection names that the server generates. It matches whole
// names: tmp.agg_out.mine is a user's collection.
const generatedPattern = `^(` +
	`tmp\.agg_out\.[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}` +
	`|tmp[A-Za-z0-9]{5}\.(renameCollection|convertToCapped\..+|create|rename)` +
	`|(system\.)?resharding\.[0-9a-f]{8}-.+` +
	`)$`

// displacedPattern matches the generated names to which the server renames a collection that
// is in the way of an applyOps. It creates no collection with such a name.
const displacedPattern = `^tmp[A-Za-z0-9]{5}\.(create|rename)$`

// GeneratedNames distinguishes generated collection names from those that users choose.
// A name is not sufficient to classify a collection as temporary: users and the server may
// rename one to it.
type GeneratedNames struct{ pattern, displaced *regexp.Regexp }

// NewGeneratedNames returns the patterns for all supported versions.
func NewGeneratedNames() GeneratedNames {
	return GeneratedNames{pattern: regexp.MustCompile(generatedPattern), displaced: regexp.MustCompile(displacedPattern)}
}

// Match reports whether a collection name, without BucketsPrefix, is generated.
func (n GeneratedNames) Match(coll string) bool { return n.pattern.MatchString(coll) }

// CreatedByServer reports whether the server created a collection for itself, judging by
// the name alone.
func (n GeneratedNames) CreatedByServer(coll string) bool {
	return n.Match(coll) && !n.displaced.MatchString(coll)
}

// Classify returns listed versions with the names that the server generates classified by what the
// collection was: one of a known UUID stays temporary, or a user's, whatever its name is now. A
// listing contains only the name.
func (n GeneratedNames) Classify(known *Catalog, listed []Version) []Version {
	out := slices.Clone(listed)
	var before map[oplog.UUID]bool
	for i, v := range out {
		if !v.Definition.Known() || v.Definition.UUID.IsZero() || !n.Match(v.Namespace.Collection) {
			continue
		}
		if before == nil {
			before = known.temporary()
		}
		temporary, ok := before[v.Definition.UUID]
		if temporary = temporary || rawdoc.Truthy(v.Definition.Options.Lookup("temp")); !ok || temporary == v.Definition.Temporary {
			continue
		}
		def := *v.Definition
		def.Temporary = temporary
		out[i].Definition = &def
	}
	return out
}
