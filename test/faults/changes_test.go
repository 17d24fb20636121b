package faults

import (
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
)

// changes are two generations of DDL in separate databases: seen creates objects while ddltail runs, and unseen changes them in
// every possible way while it is stopped. Two instances make more than fifty unseen changes.
type changes struct {
	*scene
	name string
}

func (s *scene) changes(name string) changes { return changes{scene: s, name: "changes_" + name} }

func (c changes) run(db string, commands ...bson.D) {
	c.Helper()
	c.unrecorded = append(c.unrecorded, db)
	for _, cmd := range commands {
		cmd = append(cmd, bson.E{Key: "writeConcern", Value: bson.D{{Key: "w", Value: "majority"}}})
		if err := c.client.Database(db).RunCommand(c.Context(), cmd).Err(); err != nil {
			c.Fatalf("%v: %v", cmd, err)
		}
	}
}

func create(name string, options ...bson.E) bson.D {
	return append(bson.D{{Key: "create", Value: name}}, options...)
}

func index(collection, name string, key any, options ...bson.E) bson.D {
	spec := append(bson.D{{Key: "key", Value: key}, {Key: "name", Value: name}}, options...)
	return bson.D{{Key: "createIndexes", Value: collection}, {Key: "indexes", Value: bson.A{spec}}}
}

func document(collection string) bson.D {
	return bson.D{{Key: "insert", Value: collection}, {Key: "documents", Value: bson.A{bson.D{{Key: "a", Value: 1}}}}}
}

func by(field string) bson.D { return bson.D{{Key: field, Value: 1}} }

func series(name string) bson.D {
	return create(name, bson.E{Key: "timeseries", Value: bson.D{{Key: "timeField", Value: "t"}, {Key: "metaField", Value: "m"}}})
}

func validator(least int) bson.E {
	return bson.E{Key: "validator", Value: bson.D{{Key: "a", Value: bson.D{{Key: "$gt", Value: least}}}}}
}

func view(name, on string) bson.D {
	return create(name, bson.E{Key: "viewOn", Value: on}, bson.E{Key: "pipeline", Value: bson.A{}})
}

// seen creates the objects of the first generation.
func (c changes) seen() {
	c.Helper()
	for _, name := range []string{
		"stays", "dropped", "renamed", "over", "under", "indexed", "hidden", "validated", "replaced", "to_capped", "out_of",
	} {
		c.run(c.name, create(name))
	}
	c.run(c.name,
		index("renamed", "by_a", by("a")), index("indexed", "by_a", by("a")), index("hidden", "by_a", by("a")),
		document("out_of"), document("indexed"),
		view("seen", "stays"), view("forgotten", "stays"),
		series("series"), series("old_series"))
	c.run(c.name+"_gone", create("one"), create("two"), view("seen", "one"))
}

// unseen changes these objects: 29 changes, of every kind.
func (c changes) unseen() {
	c.Helper()
	admin := func(from, to string, over bool) bson.D {
		return bson.D{{Key: "renameCollection", Value: c.name + "." + from}, {Key: "to", Value: c.name + "." + to}, {Key: "dropTarget", Value: over}}
	}
	c.run(c.name, bson.D{{Key: "drop", Value: "dropped"}}, bson.D{{Key: "drop", Value: "old_series"}}, bson.D{{Key: "drop", Value: "forgotten"}})
	c.run("admin", admin("renamed", "renamed_since", false), admin("over", "under", true))
	c.run(c.name,
		index("indexed", "by_b", by("b"), bson.E{Key: "unique", Value: true}),
		bson.D{{Key: "dropIndexes", Value: "indexed"}, {Key: "index", Value: "by_a"}},
		bson.D{{Key: "collMod", Value: "hidden"}, {Key: "index", Value: bson.D{{Key: "name", Value: "by_a"}, {Key: "hidden", Value: true}}}},
		bson.D{{Key: "collMod", Value: "validated"}, validator(3)},
		bson.D{{Key: "collMod", Value: "seen"}, {Key: "viewOn", Value: "indexed"}, {Key: "pipeline", Value: bson.A{}}},
		bson.D{{Key: "collMod", Value: "series"}, {Key: "expireAfterSeconds", Value: 7200}},
		bson.D{{Key: "convertToCapped", Value: "to_capped"}, {Key: "size", Value: 8192}},
		bson.D{{Key: "aggregate", Value: "out_of"}, {Key: "pipeline", Value: bson.A{bson.D{{Key: "$out", Value: "replaced"}}}}, {Key: "cursor", Value: bson.D{}}},
		bson.D{{Key: "aggregate", Value: "out_of"}, {Key: "pipeline", Value: bson.A{bson.D{{Key: "$out", Value: "out"}}}}, {Key: "cursor", Value: bson.D{}}},
		create("new"), index("new", "by_a", by("a")),
		create("new_capped", bson.E{Key: "capped", Value: true}, bson.E{Key: "size", Value: 4096}),
		create("new_validated", validator(1)), view("new_view", "new"), series("new_series"), index("new_series", "by_m", by("m")),
		create("passing"), bson.D{{Key: "drop", Value: "passing"}})
	c.run(c.name+"_gone", bson.D{{Key: "dropDatabase", Value: 1}})
	c.inTransaction(create("in_transaction"), index("in_transaction", "by_a", by("a")), document("by_first_write"))
}

func (c changes) inTransaction(commands ...bson.D) {
	c.Helper()
	c.unrecorded = append(c.unrecorded, c.name)
	session, err := c.client.StartSession()
	c.must(err)
	defer session.EndSession(c.Context())
	c.must(session.StartTransaction(options.Transaction().SetReadConcern(readconcern.Local()).SetWriteConcern(writeconcern.Majority())))
	for _, cmd := range commands {
		if err := c.client.Database(c.name).RunCommand(mongo.NewSessionContext(c.Context(), session), cmd).Err(); err != nil {
			c.Fatalf("%v: %v", cmd, err)
		}
	}
	c.must(session.CommitTransaction(c.Context()))
}

// several returns n instances with different names.
func several(s *scene, n int) []changes {
	var all []changes
	for i := range n {
		all = append(all, s.changes(fmt.Sprint(i)))
	}
	return all
}
