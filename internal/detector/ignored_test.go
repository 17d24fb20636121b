package detector_test

import (
	"maps"
	"math"
	"regexp"
	"strings"

	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/store"
)

// generated are the names that servers give to what they create for themselves, aside those to which they move what is in
// the way of an applyOps.
var (
	generated = regexp.MustCompile(`^(system\.buckets\.)?(tmp\.agg_out\.[0-9a-f-]{36}|tmp\w{5}\.(renameCollection|convertToCapped\..+)|(system\.)?resharding\..+)$`)
	aside     = regexp.MustCompile(`^tmp\w{5}\.(create|rename)$`)
)

// reasons says why an entry may pass without a notification. It follows the collections that servers created for themselves, and
// knows the server's entries, not the detector.
type reasons struct {
	// created holds by full name what a create entry was seen of: whether it is a collection of the server's own, and whether
	// it has the option temp.
	created map[string]origin
	// never holds the indexes with an expiry of NaN, by full name and name.
	never map[string]bool
}

type origin struct{ internal, temp bool }

// follow keeps an entry's effect on the names in mind.
func (r *reasons) follow(e oplog.Entry) {
	name, target := e.Command()
	coll, _ := target.StringValueOK()
	if r.created == nil {
		r.created, r.never = map[string]origin{}, map[string]bool{}
	}
	switch name {
	case "create":
		temp := marked(e, "temp")
		r.created[e.Database()+"."+coll] = origin{internal: temp || generated.MatchString(coll) || aside.MatchString(coll), temp: temp}
	case "renameCollection":
		to, _ := e.Object.Lookup("to").StringValueOK()
		is := r.of(coll)
		if is.temp = is.temp && marked(e, "stayTemp"); !is.temp && !generated.MatchString(collectionOf(to)) && !aside.MatchString(collectionOf(to)) {
			is.internal = false
		}
		delete(r.created, coll)
		r.created[to] = is
	case "createIndexes":
		seconds, _ := e.Object.Lookup("expireAfterSeconds").DoubleOK()
		index, _ := e.Object.Lookup("name").StringValueOK()
		r.never[e.Database()+"."+coll+" "+index] = math.IsNaN(seconds)
	case "drop":
		delete(r.created, e.Database()+"."+coll)
	}
}

func collectionOf(ns string) string {
	_, coll, _ := strings.Cut(ns, ".")
	return coll
}

// of returns where a collection comes from; the name decides of one that was not seen.
func (r *reasons) of(ns string) origin {
	if seen, ok := r.created[ns]; ok {
		return seen
	}
	return origin{internal: generated.MatchString(collectionOf(ns))}
}

// silent are the commands that say nothing of the schema by themselves.
var silent = map[string]string{
	"startIndexBuild":                    "a build is no index until it is committed",
	"commitTransaction":                  "the transaction holds no DDL",
	"abortTransaction":                   "the transaction did not happen",
	"emptycapped":                        "removes documents",
	"upgradeDowngradeViewlessTimeseries": "a time series changes its storage form",
	"dbCheck":                            "a consistency check",
}

// sharding are the commands and no-ops that a cluster writes for itself.
var sharding = []string{"createDatabaseMetadata", "dropDatabaseMetadata", "invalidateCollectionMetadata", "updateCollectionMetadata",
	"setAllowChunkOperations", "modifyCollectionShardingIndexCatalog", "createGlobalIndex", "dropGlobalIndex", "importCollection",
	"truncateRange", "setMultikeyMetadata", "dropIdent", "initReplicatedFastCount"}

// why gives the reason why an entry may pass without a notification; it is empty where there is none.
func (r *reasons) why(e oplog.Entry) string {
	switch e.Op {
	case "n":
		return r.whyNoop(e)
	case "c":
		return r.whyCommand(e)
	case "i", "u", "d":
		return whyDocument(e)
	}
	return "no letter of schema changes"
}

func (r *reasons) whyNoop(e oplog.Entry) string {
	full, ok := e.Object2.Lookup("shardCollection").StringValueOK()
	switch {
	case ok && r.of(full).internal:
		return "the sharding of a collection that the server made for itself"
	case ok:
		return ""
	}
	return "a no-op"
}

func whyDocument(e oplog.Entry) string {
	viewOn, _ := e.Object.Lookup("viewOn").StringValueOK()
	switch {
	case !strings.HasSuffix(e.NS, ".system.views"):
		return "a document"
	case strings.HasPrefix(viewOn, "system.buckets."):
		return "the view of a time series, whose buckets tell of it"
	case e.Op == "d":
		return "perhaps the view of a time series, whose buckets tell of it"
	}
	return ""
}

func (r *reasons) whyCommand(e oplog.Entry) string {
	name, target := e.Command()
	coll, _ := target.StringValueOK()
	if reason, ok := silent[name]; ok {
		return reason
	}
	for _, internal := range sharding {
		if name == internal {
			return "the server's own bookkeeping"
		}
	}
	switch {
	case name == "applyOps":
		return r.whyApplyOps(e)
	case e.Database() == "admin" || e.Database() == "config" || e.Database() == "local":
		return "a database of the server's"
	case ownCollection(e.Database()+"."+coll) && name != "drop":
		return "ddltail's own"
	case e.FromMigrate:
		return "a copy that the cluster makes"
	case name == "create" && coll == "system.views":
		return "where views are kept"
	case name == "drop" && coll == "system.views":
		return "there was no view in it"
	case name == "renameCollection":
		return r.whyRename(e)
	case name == "create" && (marked(e, "temp") || aside.MatchString(coll)), r.of(e.Database() + "." + coll).internal:
		return "a collection that the server made for itself"
	case name == "collMod":
		return r.whyModification(e)
	case name == "createIndexes" && strings.Contains(string(e.Object), "control.min."):
		return "the index that a server makes with a time series"
	}
	return ""
}

func marked(e oplog.Entry, flag string) bool {
	on, _ := e.Object.Lookup(flag).BooleanOK()
	return on
}

// whyRename lets pass what stays the server's own, and destroys nothing of a user's.
func (r *reasons) whyRename(e oplog.Entry) string {
	from, _ := e.Object.Lookup("renameCollection").StringValueOK()
	to, _ := e.Object.Lookup("to").StringValueOK()
	after := reasons{created: maps.Clone(r.created)}
	after.follow(e)
	_, _, drops := e.Object.Lookup("dropTarget").BinaryOK()
	if r.of(from).internal && after.of(to).internal && (!drops || r.of(to).internal) {
		return "a collection that the server made for itself"
	}
	return ""
}

func (r *reasons) whyModification(e oplog.Entry) string {
	index, _ := e.Object.Lookup("index", "name").StringValueOK()
	coll, _ := e.Object.Lookup("collMod").StringValueOK()
	if seconds, _ := e.Object.Lookup("index", "expireAfterSeconds").AsInt64OK(); seconds == math.MaxInt32 && r.never[e.Database()+"."+coll+" "+index] {
		return "what 6.0 reads an expiry of NaN as, written down when it became primary"
	}
	elems, err := e.Object.Elements()
	if err != nil {
		return ""
	}
	for _, el := range elems[1:] {
		switch el.Key() {
		case "recordIdsReplicated", "timeseriesBucketsMayHaveMixedSchemaData", "_removeLegacyTimeseriesBucketingParametersHaveChanged":
		default:
			return ""
		}
	}
	return "a collMod that nobody typed"
}

func (r *reasons) whyApplyOps(e oplog.Entry) string {
	if marked(e, "partialTxn") {
		return "a part of a transaction, which waits for its end"
	}
	if marked(e, "prepare") {
		return "a prepared transaction, which waits for its commit"
	}
	values, err := e.Object.Lookup("applyOps").Array().Values()
	if err != nil {
		return ""
	}
	for _, v := range values {
		inner, err := oplog.Decode(v.Document())
		if err != nil || r.why(inner) == "" {
			return ""
		}
	}
	return "operations that say nothing of the schema"
}

func ownCollection(ns string) bool {
	for _, own := range store.Collections("ddltail") {
		if ns == own {
			return true
		}
	}
	return false
}
