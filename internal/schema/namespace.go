// Package schema is the model: namespaces, their definitions and versions, the catalog
// of all of them, and what counts as equal.
//
// It is pure: no I/O and no clock.
package schema

import (
	"regexp"
	"slices"
	"strings"
)

const (
	// BucketsPrefix precedes the name of a time series where its documents are, and
	// where its UUID is: the time series itself is listed without one up to 8.x.
	BucketsPrefix = "system.buckets."
	// ReshardingPrefix precedes the UUID of a collection that is being resharded;
	// the copy gets the collection's name in the end, with its indexes.
	ReshardingPrefix = "system.resharding."
	// ViewsCollection holds a document for each view of its database.
	ViewsCollection = "system.views"
)

// Scope decides which namespaces are included. The zero value leaves out what
// belongs only to the server.
type Scope struct {
	// Own are ddltail's own collections, as full namespaces.
	Own []string
}

// IsOwn reports whether a full namespace is one of ddltail's own collections.
func (w Scope) IsOwn(ns string) bool { return slices.Contains(w.Own, ns) }

// Includes reports whether a namespace is part of the catalog.
func (w Scope) Includes(ns Namespace) bool {
	switch ns.Database {
	case "", "admin", "config", "local":
		return false
	}
	if strings.HasPrefix(ns.Database, "__mdb_internal_") || w.IsOwn(ns.String()) {
		return false
	}
	return !strings.HasPrefix(ns.Collection, "system.") || strings.HasPrefix(ns.Collection, ReshardingPrefix)
}

// generatedPattern matches the names that the server gives to collections by itself.
// Only the whole form counts: a user's tmp.agg_out.mine is a user's.
const generatedPattern = `^(` +
	`tmp\.agg_out\.[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}` +
	`|tmp[A-Za-z0-9]{5}\.(renameCollection|convertToCapped\..+|create|rename)` +
	`|(system\.)?resharding\.[0-9a-f]{8}-.+` +
	`)$`

// asidePattern matches the generated names under which the server creates nothing: it moves
// a collection there that is in the way of an applyOps, and leaves it.
const asidePattern = `^tmp[A-Za-z0-9]{5}\.(create|rename)$`

// GeneratedNames distinguishes generated collection names from those that users choose.
// A name is not sufficient to classify a collection as temporary: users and the server may move one there.
type GeneratedNames struct{ pattern, aside *regexp.Regexp }

// NewGeneratedNames returns the generated names of all supported versions.
func NewGeneratedNames() GeneratedNames {
	return GeneratedNames{pattern: regexp.MustCompile(generatedPattern), aside: regexp.MustCompile(asidePattern)}
}

// Match reports whether a collection name, without BucketsPrefix, is generated.
func (n GeneratedNames) Match(coll string) bool { return n.pattern.MatchString(coll) }

// CreatedByServer reports whether a collection of that name, of which nothing else is
// known, was created by the server for itself.
func (n GeneratedNames) CreatedByServer(coll string) bool {
	return n.Match(coll) && !n.aside.MatchString(coll)
}

// StaysTemporary reports whether a listed collection is one that is known as temporary by
// only the name under which it was created: a listing does not show that.
func (n GeneratedNames) StaysTemporary(coll string, known, listed Definition) bool {
	return known.Temporary && known.UUID == listed.UUID && n.aside.MatchString(coll)
}
