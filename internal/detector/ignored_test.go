package detector_test

import (
	"regexp"
	"strings"

	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/sink"
)

// generated are the names that servers give to what they make for themselves.
var generated = regexp.MustCompile(`^(system\.buckets\.)?(tmp\.agg_out\.[0-9a-f-]{36}|tmp\w{5}\.(renameCollection|convertToCapped\..+|create|rename)|(system\.)?resharding\..+)$`)

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

// whyIgnored gives the reason why an entry may pass without a notification; it is
// empty where there is none. It knows the server's entries, not the detector.
func whyIgnored(e oplog.Entry) string {
	switch e.Op {
	case "n":
		return whyNoop(e)
	case "c":
		return whyCommand(e)
	case "i", "u", "d":
		return whyDocument(e)
	}
	return "no letter of schema changes"
}

func whyNoop(e oplog.Entry) string {
	full, ok := e.Object2.Lookup("shardCollection").StringValueOK()
	_, coll, _ := strings.Cut(full, ".")
	switch {
	case ok && generated.MatchString(coll):
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

func whyCommand(e oplog.Entry) string {
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
		return whyApplyOps(e)
	case e.Database() == "admin" || e.Database() == "config" || e.Database() == "local":
		return "a database of the server's"
	case ownCollection(e.Database() + "." + coll):
		return "ddltail's own"
	case e.FromMigrate:
		return "a copy that the cluster makes"
	case name == "create" && coll == "system.views":
		return "where views are kept"
	case name == "drop" && coll == "system.views":
		return "there was no view in it"
	case generated.MatchString(coll), name == "create" && marked(e, "temp"):
		return "a collection that the server made for itself"
	case name == "renameCollection":
		return whyRename(e)
	case name == "collMod":
		return whyModification(e)
	case name == "createIndexes" && strings.Contains(string(e.Object), "control.min."):
		return "the index that a server makes with a time series"
	}
	return ""
}

func marked(e oplog.Entry, flag string) bool {
	on, _ := e.Object.Lookup(flag).BooleanOK()
	return on
}

func whyRename(e oplog.Entry) string {
	to, _ := e.Object.Lookup("to").StringValueOK()
	_, coll, _ := strings.Cut(to, ".")
	if generated.MatchString(coll) {
		return "a collection that the server made for itself"
	}
	return ""
}

func whyModification(e oplog.Entry) string {
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

func whyApplyOps(e oplog.Entry) string {
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
		if err != nil || whyIgnored(inner) == "" {
			return ""
		}
	}
	return "operations that say nothing of the schema"
}

func ownCollection(ns string) bool {
	for _, own := range sink.Collections("ddltail") {
		if ns == own {
			return true
		}
	}
	return false
}
