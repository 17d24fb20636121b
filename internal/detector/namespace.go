package detector

import (
	"regexp"
	"strings"
)

const bucketsPrefix = "system.buckets."

// Watch decides which namespaces are looked at. The zero value leaves out what
// belongs to the server alone.
type Watch struct {
	// Own are ddltail's own collections, as full namespaces.
	Own []string
}

// covers says whether changes of a namespace are a user's.
func (w Watch) covers(db, coll string) bool {
	switch db {
	case "", "admin", "config", "local":
		return false
	}
	if strings.HasPrefix(db, "__mdb_internal_") || strings.HasPrefix(coll, "system.") {
		return false
	}
	for _, own := range w.Own {
		if own == db+"."+coll {
			return false
		}
	}
	return true
}

// generatedNames are the names that the server gives to collections it will
// rename or drop by itself. Only the whole form counts: a user's tmp.agg_out.mine
// is a user's.
const generatedNames = `^(` +
	`tmp\.agg_out\.[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}` +
	`|tmp[A-Za-z0-9]{5}\.(renameCollection|convertToCapped\..+|create|rename)` +
	`)$`

// names tells generated collection names from those that users choose.
type names struct{ generated *regexp.Regexp }

func newNames() names { return names{generated: regexp.MustCompile(generatedNames)} }

func (n names) temporary(coll string) bool {
	return n.generated.MatchString(strings.TrimPrefix(coll, bucketsPrefix))
}
