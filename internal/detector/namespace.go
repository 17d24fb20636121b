package detector

import (
	"regexp"
	"slices"
	"strings"
)

const (
	// BucketsPrefix precedes the name of a time series where its documents are, and
	// where its UUID is: the time series itself is listed without one up to 8.x.
	BucketsPrefix = "system.buckets."
	// reshardingPrefix precedes the UUID of a collection that is being resharded;
	// the copy gets the collection's name in the end, with its indexes.
	reshardingPrefix = "system.resharding."
	// viewsCollection holds a document for each view of its database.
	viewsCollection = "system.views"
)

// Scope decides which namespaces are looked at. The zero value leaves out what
// belongs to the server alone.
type Scope struct {
	// Own are ddltail's own collections, as full namespaces.
	Own []string
}

// includes reports whether changes of a namespace are in scope; an empty
// collection asks for the database.
func (w Scope) includes(db, coll string) bool {
	return w.Includes(Namespace{db, coll})
}

func (w Scope) isOwn(ns string) bool { return slices.Contains(w.Own, ns) }

// Includes reports whether a namespace is part of the catalog.
func (w Scope) Includes(ns Namespace) bool {
	switch ns.Database {
	case "", "admin", "config", "local":
		return false
	}
	if strings.HasPrefix(ns.Database, "__mdb_internal_") || w.isOwn(ns.String()) {
		return false
	}
	return !strings.HasPrefix(ns.Collection, "system.") || strings.HasPrefix(ns.Collection, reshardingPrefix)
}

// generatedNames are the names that the server gives to collections it will
// rename or drop by itself. Only the whole form counts: a user's tmp.agg_out.mine
// is a user's.
const generatedNames = `^(` +
	`tmp\.agg_out\.[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}` +
	`|tmp[A-Za-z0-9]{5}\.(renameCollection|convertToCapped\..+|create|rename)` +
	`|(system\.)?resharding\.[0-9a-f]{8}-.+` +
	`)$`

// names distinguishes generated collection names from those that users choose.
type names struct{ generated *regexp.Regexp }

func newNames() names { return names{generated: regexp.MustCompile(generatedNames)} }

// temporary is asked without the prefix of buckets.
func (n names) temporary(coll string) bool { return n.generated.MatchString(coll) }
