package load

import (
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/test/faults/ledger"
)

// scenarios returns one scenario for each kind of DDL.
func scenarios() []func(*scenario) {
	return []func(*scenario){
		plain, capped, validated, timeSeries, view, implicit, indexed, built, failed, renamed, renamedOver, modified,
		out, outOver, toCapped, committed, aborted, database,
	}
}

func create(name string, options ...bson.E) bson.D {
	return append(bson.D{{Key: "create", Value: name}}, options...)
}

func drop(name string) bson.D { return bson.D{{Key: "drop", Value: name}} }

// createIndex requires only a majority to build the index: a stopped member would block
// it.
func createIndex(collection, index string, options ...bson.E) bson.D {
	spec := append(bson.D{{Key: "key", Value: bson.D{{Key: "a", Value: 1}}}, {Key: "name", Value: index}}, options...)
	return bson.D{{Key: "createIndexes", Value: collection}, {Key: "indexes", Value: bson.A{spec}}, {Key: "commitQuorum", Value: "majority"}}
}

// indexEmpty omits the commit quorum, which a transaction does not accept.
func indexEmpty(collection, index string) bson.D { return createIndex(collection, index)[:2] }

func (s *scenario) create(name string, options ...bson.E) {
	s.do(create(name, options...), ledger.Effect{Operation: "CREATE_COLLECTION", NS: s.ns(name)})
}

func (s *scenario) drop(name string) {
	s.do(drop(name), ledger.Effect{Operation: "DROP_COLLECTION", NS: s.ns(name)})
}

func (s *scenario) createIndex(collection, index string) {
	s.do(createIndex(collection, index), ledger.Effect{Operation: "CREATE_INDEX", NS: s.ns(collection), Index: index})
}

func (s *scenario) createView(name, on string) {
	s.do(create(name, bson.E{Key: "viewOn", Value: on}, bson.E{Key: "pipeline", Value: bson.A{}}),
		ledger.Effect{Operation: "CREATE_VIEW", NS: s.ns(name)})
}

func plain(s *scenario) {
	s.create(s.name)
	s.drop(s.name)
}

func capped(s *scenario) {
	s.create(s.name, bson.E{Key: "capped", Value: true}, bson.E{Key: "size", Value: 4096})
	s.drop(s.name)
}

func validated(s *scenario) {
	s.create(s.name, bson.E{Key: "validator", Value: bson.D{{Key: "a", Value: bson.D{{Key: "$gt", Value: 0}}}}})
	s.do(bson.D{{Key: "collMod", Value: s.name}, {Key: "validator", Value: bson.D{{Key: "a", Value: bson.D{{Key: "$gt", Value: 1}}}}}},
		ledger.Effect{Operation: "MODIFY_COLLECTION", NS: s.ns(s.name)})
	s.drop(s.name)
}

func timeSeries(s *scenario) {
	s.create(s.name, bson.E{Key: "timeseries", Value: bson.D{{Key: "timeField", Value: "t"}, {Key: "metaField", Value: "a"}}})
	s.createIndex(s.name, "by_a")
	s.drop(s.name)
}

func view(s *scenario) {
	s.createView(s.name, "anything")
	s.do(bson.D{{Key: "collMod", Value: s.name}, {Key: "viewOn", Value: "another"}, {Key: "pipeline", Value: bson.A{}}},
		ledger.Effect{Operation: "MODIFY_VIEW", NS: s.ns(s.name)})
	s.do(drop(s.name), ledger.Effect{Operation: "DROP_VIEW", NS: s.ns(s.name)})
}

func implicit(s *scenario) {
	s.do(bson.D{{Key: "insert", Value: s.name}, {Key: "documents", Value: bson.A{bson.D{{Key: "a", Value: 1}}}}},
		ledger.Effect{Operation: "CREATE_COLLECTION", NS: s.ns(s.name)})
	s.drop(s.name)
}

// indexed creates an index on an empty collection: one oplog entry.
func indexed(s *scenario) {
	s.create(s.name)
	s.createIndex(s.name, "by_a")
	s.do(bson.D{{Key: "dropIndexes", Value: s.name}, {Key: "index", Value: "by_a"}},
		ledger.Effect{Operation: "DROP_INDEX", NS: s.ns(s.name), Index: "by_a"})
	s.drop(s.name)
}

// built builds an index in two phases; a failover can complete or abort it.
func built(s *scenario) {
	s.create(s.name)
	s.fill(s.name)
	s.build("by_a")
	s.drop(s.name)
}

func (s *scenario) build(index string) {
	done := ledger.Effect{Operation: "CREATE_INDEX", NS: s.ns(s.name), Index: index}
	if doubtful := s.do(createIndex(s.name, index), done); doubtful {
		s.load.ledger.Doubtful(fmt.Errorf("the build of %s was interrupted", index),
			ledger.Effect{Operation: "ABORT_INDEX_BUILD", NS: s.ns(s.name), Index: index})
	}
}

func failed(s *scenario) {
	s.create(s.name)
	s.fill(s.name, bson.D{{Key: "a", Value: 1}}, bson.D{{Key: "a", Value: 1}})
	s.failing(createIndex(s.name, "by_a", bson.E{Key: "unique", Value: true}),
		ledger.Effect{Operation: "ABORT_INDEX_BUILD", NS: s.ns(s.name), Index: "by_a"})
	s.drop(s.name)
}

func renamed(s *scenario) {
	to := s.name + "_renamed"
	s.create(s.name)
	s.rename(to, false, ledger.Effect{Operation: "RENAME_COLLECTION", NS: s.ns(s.name), To: s.ns(to)})
	s.drop(to)
}

func renamedOver(s *scenario) {
	to := s.name + "_target"
	s.create(s.name)
	s.create(to)
	s.rename(to, true, ledger.Effect{Operation: "DROP_COLLECTION", NS: s.ns(to)},
		ledger.Effect{Operation: "RENAME_COLLECTION", NS: s.ns(s.name), To: s.ns(to)})
	s.drop(to)
}

func (s *scenario) rename(to string, over bool, effects ...ledger.Effect) {
	in := *s
	in.db = s.load.client.Database("admin")
	in.do(bson.D{{Key: "renameCollection", Value: s.ns(s.name)}, {Key: "to", Value: s.ns(to)}, {Key: "dropTarget", Value: over}}, effects...)
	s.over = in.over
}

func modified(s *scenario) {
	s.create(s.name)
	s.createIndex(s.name, "by_a")
	s.do(bson.D{{Key: "collMod", Value: s.name}, {Key: "index", Value: bson.D{{Key: "name", Value: "by_a"}, {Key: "hidden", Value: true}}}},
		ledger.Effect{Operation: "MODIFY_COLLECTION", NS: s.ns(s.name), Index: "by_a"})
	s.drop(s.name)
}

func (s *scenario) out(to, operation string) {
	s.do(bson.D{{Key: "aggregate", Value: s.name}, {Key: "pipeline", Value: bson.A{bson.D{{Key: "$out", Value: to}}}}, {Key: "cursor", Value: bson.D{}}},
		ledger.Effect{Operation: operation, NS: s.ns(to)})
}

func out(s *scenario) {
	s.create(s.name)
	s.fill(s.name)
	s.out(s.name+"_out", "CREATE_COLLECTION")
	s.drop(s.name + "_out")
	s.drop(s.name)
}

func outOver(s *scenario) {
	s.create(s.name)
	s.fill(s.name)
	s.create(s.name + "_out")
	s.createIndex(s.name+"_out", "by_a")
	s.out(s.name+"_out", "REPLACE_COLLECTION")
	s.drop(s.name + "_out")
	s.drop(s.name)
}

func toCapped(s *scenario) {
	s.create(s.name)
	s.do(bson.D{{Key: "convertToCapped", Value: s.name}, {Key: "size", Value: 8192}},
		ledger.Effect{Operation: "CONVERT_TO_CAPPED", NS: s.ns(s.name)})
	s.drop(s.name)
}

// inTransaction creates a collection with an index, and another collection by a first write.
func (s *scenario) inTransaction(commit bool) {
	other := s.name + "_implicit"
	s.transaction(commit, []bson.D{
		create(s.name), indexEmpty(s.name, "by_a"),
		{{Key: "insert", Value: other}, {Key: "documents", Value: bson.A{bson.D{{Key: "a", Value: 1}}}}},
	},
		ledger.Effect{Operation: "CREATE_COLLECTION", NS: s.ns(s.name)},
		ledger.Effect{Operation: "CREATE_INDEX", NS: s.ns(s.name), Index: "by_a"},
		ledger.Effect{Operation: "CREATE_COLLECTION", NS: s.ns(other)})
}

func committed(s *scenario) {
	s.inTransaction(true)
	s.drop(s.name)
	s.drop(s.name + "_implicit")
}

func aborted(s *scenario) { s.inTransaction(false) }

// database creates a database with a time series, a view and an indexed collection, and drops it.
func database(s *scenario) {
	s.db = s.load.client.Database(s.load.prefix + "_" + s.name)
	s.create("one")
	s.createIndex("one", "by_a")
	s.createView("seen", "one")
	s.create("series", bson.E{Key: "timeseries", Value: bson.D{{Key: "timeField", Value: "t"}}})
	s.do(bson.D{{Key: "dropDatabase", Value: 1}},
		ledger.Effect{Operation: "DROP_COLLECTION", NS: s.ns("one")},
		ledger.Effect{Operation: "DROP_VIEW", NS: s.ns("seen")},
		ledger.Effect{Operation: "DROP_COLLECTION", NS: s.ns("series")},
		ledger.Effect{Operation: "DROP_DATABASE", NS: s.db.Name()})
}
