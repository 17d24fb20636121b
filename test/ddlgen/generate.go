// Package ddlgen generates random DDL for a real server, and compares the server's
// catalog with another one.
package ddlgen

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Generator generates random DDL and inserts. It does not know the state of the server,
// which refuses many of its operations.
type Generator struct {
	rand *rand.Rand
	dbs  []string
}

// New creates a generator with a seed for the given databases.
func New(seed uint64, dbs ...string) Generator {
	return Generator{rand: rand.New(rand.NewPCG(seed, seed)), dbs: dbs}
}

func names() []string {
	return []string{
		"payments", "transactions", "a.b", "'); db.dropDatabase(); //", `a"b\c`, "new\nline", "日本", "__proto__",
		"constructor", "0", "stats", "tmp.agg_out.mine", strings.Repeat("n", 200),
	}
}

func fields() []string {
	return []string{
		"a", "b.c", "0", "__proto__", "日本", `q"'\`, "constructor", "x y", "new\nline", "'); db.dropDatabase(); //",
		strings.Repeat("f", 200), "$x",
	}
}

func pick[T any](g Generator, from []T) T { return from[g.rand.IntN(len(from))] }

// name returns a collection name; rarely one that every server refuses.
func (g Generator) name() string {
	if g.rand.IntN(60) == 0 {
		return "$x"
	}
	return pick(g, names())
}

func (g Generator) field() string { return pick(g, fields()) }
func (g Generator) index() string { return fmt.Sprintf("i'%d", g.rand.IntN(6)) }

// expiring names an index that may expire documents. 6.0.5 crashes on a collMod that
// makes a wildcard index do so ("Found an invalid index"): those have other names.
func (g Generator) expiring() string { return fmt.Sprintf("ttl'%d", g.rand.IntN(3)) }

func (g Generator) coin() bool { return g.rand.IntN(2) == 0 }

// Next returns one operation.
func (g Generator) Next() Operation {
	kinds := []struct {
		weight int
		make   func(string) Operation
	}{
		{16, g.create}, {24, g.createIndex}, {8, g.dropIndex}, {4, g.drop}, {10, g.modify}, {10, g.modifyIndex}, {6, g.rename},
		{6, g.view}, {5, g.modifyView}, {5, g.out}, {2, g.mapReduce}, {4, g.toCapped}, {1, g.dropDatabase}, {6, g.transaction},
		{12, g.insert}, {3, g.change},
	}
	total := 0
	for _, k := range kinds {
		total += k.weight
	}
	var op Operation
	n := g.rand.IntN(total)
	for _, k := range kinds {
		if n -= k.weight; n < 0 {
			op = k.make(g.name())
			break
		}
	}
	if op.db == "" {
		op.db = pick(g, g.dbs)
	}
	return op
}

func one(cmd ...bson.E) Operation { return Operation{commands: []bson.D{cmd}} }

// with adds fields to the first command.
func (o Operation) with(more ...bson.E) Operation {
	o.commands[0] = append(o.commands[0], more...)
	return o
}

func (g Generator) create(name string) Operation {
	return one(bson.E{Key: "create", Value: name}).with(g.options()...)
}

func (g Generator) options() bson.D {
	timeSeries := bson.D{{Key: "timeField", Value: "t"}, {Key: "metaField", Value: "m"}}
	encrypted := bson.D{{Key: "fields", Value: bson.A{bson.D{
		{Key: "path", Value: "secret"}, {Key: "keyId", Value: bson.Binary{Subtype: 4, Data: make([]byte, 16)}}, {Key: "bsonType", Value: "string"},
	}}}}
	clustered := bson.D{{Key: "key", Value: bson.D{{Key: "_id", Value: 1}}}, {Key: "unique", Value: true}, {Key: "name", Value: "cl"}}
	return pick(g, []bson.D{
		nil, nil,
		{{Key: "capped", Value: true}, {Key: "size", Value: 4096 * (1 + g.rand.IntN(3))}, {Key: "max", Value: 10}},
		{{Key: "validator", Value: g.validator()}, {Key: "validationLevel", Value: "moderate"}},
		{{Key: "collation", Value: bson.D{{Key: "locale", Value: "fr"}, {Key: "strength", Value: 2}}}},
		{{Key: "timeseries", Value: timeSeries}, {Key: "expireAfterSeconds", Value: 3600}},
		{{Key: "timeseries", Value: timeSeries[:1]}},
		{{Key: "clusteredIndex", Value: clustered}},
		{{Key: "changeStreamPreAndPostImages", Value: bson.D{{Key: "enabled", Value: true}}}},
		{{Key: "encryptedFields", Value: encrypted}},
	})
}

func (g Generator) validator() bson.D {
	return bson.D{{Key: "b", Value: bson.D{{Key: "$gt", Value: g.rand.IntN(9)}}}, {Key: g.field(), Value: bson.D{{Key: "$exists", Value: true}}}}
}

func (g Generator) createIndex(name string) Operation {
	specs := bson.A{g.spec()}
	if g.rand.IntN(8) == 0 {
		specs = append(specs, g.spec())
	}
	return one(bson.E{Key: "createIndexes", Value: name}, bson.E{Key: "indexes", Value: specs})
}

func (g Generator) spec() bson.D {
	key := bson.D{{Key: g.field(), Value: pick(g, []int{1, -1})}}
	if f := g.field(); f != key[0].Key && g.coin() {
		key = append(key, bson.E{Key: f, Value: 1})
	}
	keyed := func(key bson.D) bson.D { return bson.D{{Key: "key", Value: key}, {Key: "name", Value: g.index()}} }
	with := func(option string, value any) bson.D { return append(keyed(key), bson.E{Key: option, Value: value}) }
	of := func(kind any, more ...bson.E) bson.D {
		return keyed(append(bson.D{{Key: g.field(), Value: kind}}, more...))
	}
	return pick(g, []bson.D{
		keyed(key), keyed(key),
		with("unique", true),
		with("sparse", true),
		{{Key: "key", Value: key[:1]}, {Key: "name", Value: g.expiring()}, {Key: "expireAfterSeconds", Value: 100000}},
		{{Key: "key", Value: key[:1]}, {Key: "name", Value: g.expiring()}},
		with("hidden", true),
		with("partialFilterExpression", bson.D{{Key: g.field(), Value: bson.D{{Key: "$gt", Value: 5}}}}),
		with("collation", bson.D{{Key: "locale", Value: "de"}}),
		append(of("text", bson.E{Key: "z", Value: "text"}), bson.E{Key: "default_language", Value: "german"}),
		append(keyed(bson.D{{Key: "a", Value: "text"}}), bson.E{Key: "weights", Value: bson.D{{Key: "a", Value: 3}}}),
		of("2dsphere"), of("hashed"), append(of("2d"), bson.E{Key: "bits", Value: 20}),
		keyed(bson.D{{Key: "$**", Value: 1}}),
		append(keyed(bson.D{{Key: "$**", Value: 1}}), bson.E{Key: "wildcardProjection", Value: bson.D{{Key: g.field(), Value: 1}}}),
		keyed(bson.D{{Key: "m.x", Value: 1}, {Key: "t", Value: -1}}),
	})
}

func (g Generator) dropIndex(name string) Operation {
	index := g.index()
	if g.rand.IntN(10) == 0 {
		index = "*"
	}
	return one(bson.E{Key: "dropIndexes", Value: name}, bson.E{Key: "index", Value: index})
}

func (g Generator) drop(name string) Operation { return one(bson.E{Key: "drop", Value: name}) }

// modify never sets recordPreImages: on 5.0.4 and 6.0.5 any other collMod turns it off,
// but the oplog entry is the same as on 4.4.2 and 6.0.27, where it stays on.
func (g Generator) modify(name string) Operation {
	op := one(bson.E{Key: "collMod", Value: name}).with(pick(g, []bson.D{
		{{Key: "validator", Value: g.validator()}},
		{{Key: "validator", Value: bson.D{}}},
		{{Key: "validationLevel", Value: "strict"}, {Key: "validationAction", Value: "warn"}},
		{{Key: "changeStreamPreAndPostImages", Value: bson.D{{Key: "enabled", Value: g.coin()}}}},
		{{Key: "timeseries", Value: bson.D{{Key: "granularity", Value: "minutes"}}}},
		{{Key: "expireAfterSeconds", Value: pick(g, []any{7200, "off"})}},
		{{Key: "cappedSize", Value: 40960}, {Key: "cappedMax", Value: 20}},
	})...)
	op.notOnView = true
	return op
}

func (g Generator) modifyIndex(name string) Operation {
	index := pick(g, []bson.D{
		{{Key: "name", Value: g.expiring()}, {Key: "expireAfterSeconds", Value: 200000}},
		{{Key: "name", Value: g.expiring()}, {Key: "hidden", Value: true}},
		{{Key: "name", Value: g.index()}, {Key: "hidden", Value: true}},
		{{Key: "name", Value: g.index()}, {Key: "hidden", Value: false}},
		{{Key: "name", Value: g.index()}, {Key: "prepareUnique", Value: g.coin()}},
		{{Key: "name", Value: g.index()}, {Key: "unique", Value: true}},
	})
	op := one(bson.E{Key: "collMod", Value: name}, bson.E{Key: "index", Value: index})
	op.notOnView = true
	return op
}

func (g Generator) rename(name string) Operation {
	op := one(bson.E{Key: "renameCollection", Value: pick(g, g.dbs) + "." + name},
		bson.E{Key: "to", Value: pick(g, g.dbs) + "." + g.name()}, bson.E{Key: "dropTarget", Value: g.coin()})
	op.db = "admin"
	return op
}

// view sets no collation: if a view with one has the name of a time series to be created,
// the server refuses the time series but keeps its buckets.
func (g Generator) view(name string) Operation {
	return one(bson.E{Key: "create", Value: name}, bson.E{Key: "viewOn", Value: g.name()}, bson.E{Key: "pipeline", Value: g.pipeline()})
}

func (g Generator) pipeline() bson.A {
	match := bson.D{{Key: "b", Value: 1}, {Key: "0", Value: g.rand.IntN(5)}}
	if f := g.field(); f != "0" {
		match = append(match, bson.E{Key: f, Value: bson.Regex{Pattern: "^a/'", Options: "i"}})
	}
	return bson.A{
		bson.D{{Key: "$match", Value: match}},
		bson.D{{Key: "$addFields", Value: bson.D{{Key: "x", Value: bson.D{{Key: "$literal", Value: bson.D{{Key: g.field(), Value: 1}, {Key: "1", Value: 1}}}}}}}},
	}
}

func (g Generator) modifyView(name string) Operation {
	return one(bson.E{Key: "collMod", Value: name}, bson.E{Key: "viewOn", Value: "payments"}, bson.E{Key: "pipeline", Value: g.pipeline()})
}

func (g Generator) out(name string) Operation {
	stage := pick(g, []bson.D{
		{{Key: "$out", Value: g.name()}},
		{{Key: "$out", Value: bson.D{{Key: "db", Value: pick(g, g.dbs)}, {Key: "coll", Value: g.name()}}}},
		{{Key: "$merge", Value: bson.D{{Key: "into", Value: g.name()}}}},
		// Fails after the temporary collection was created, if the source has a document.
		{{Key: "$out", Value: g.name()}},
	})
	pipeline := bson.A{bson.D{{Key: "$limit", Value: 1}}, stage}
	if g.rand.IntN(4) == 0 {
		pipeline = bson.A{bson.D{{Key: "$project", Value: bson.D{{Key: "x", Value: bson.D{{Key: "$divide", Value: bson.A{1, 0}}}}}}}, stage}
	}
	return one(bson.E{Key: "aggregate", Value: name}, bson.E{Key: "pipeline", Value: pipeline}, bson.E{Key: "cursor", Value: bson.D{}})
}

func (g Generator) mapReduce(name string) Operation {
	return one(bson.E{Key: "mapReduce", Value: name},
		bson.E{Key: "map", Value: bson.JavaScript("function() { emit(this.a, 1); }")},
		bson.E{Key: "reduce", Value: bson.JavaScript("function(k, v) { return v.length; }")},
		bson.E{Key: "out", Value: bson.D{{Key: pick(g, []string{"replace", "merge"}), Value: g.name()}}})
}

func (g Generator) toCapped(name string) Operation {
	if g.rand.IntN(3) == 0 {
		return one(bson.E{Key: "cloneCollectionAsCapped", Value: name}, bson.E{Key: "toCollection", Value: g.name()}, bson.E{Key: "size", Value: 8192})
	}
	return one(bson.E{Key: "convertToCapped", Value: name}, bson.E{Key: "size", Value: 8192})
}

// dropDatabase is rare, because later operations need collections.
func (g Generator) dropDatabase(name string) Operation {
	if g.rand.IntN(3) > 0 {
		return g.drop(name)
	}
	return one(bson.E{Key: "dropDatabase", Value: 1})
}

func (g Generator) transaction(name string) Operation {
	return Operation{
		transaction: true, abort: g.rand.IntN(5) == 0,
		commands: []bson.D{
			{{Key: "create", Value: name}},
			{{Key: "createIndexes", Value: name}, {Key: "indexes", Value: bson.A{g.spec()}}},
			g.insert(g.name()).commands[0],
		}[g.rand.IntN(2):],
	}
}

// insert inserts equal documents, so that unique indexes fail.
func (g Generator) insert(name string) Operation {
	doc := bson.D{{Key: "a", Value: 10}, {Key: "b", Value: 100}, {Key: "t", Value: bson.DateTime(0)}}
	return one(bson.E{Key: "insert", Value: name}, bson.E{Key: "documents", Value: bson.A{doc, doc}[:1+g.rand.IntN(2)]})
}

func (g Generator) change(name string) Operation {
	if g.coin() {
		return one(bson.E{Key: "delete", Value: name}, bson.E{Key: "deletes", Value: bson.A{bson.D{{Key: "q", Value: bson.D{}}, {Key: "limit", Value: 1}}}})
	}
	set := bson.D{{Key: "$set", Value: bson.D{{Key: "c", Value: g.rand.IntN(9)}}}}
	return one(bson.E{Key: "update", Value: name}, bson.E{Key: "updates", Value: bson.A{bson.D{{Key: "q", Value: bson.D{}}, {Key: "u", Value: set}, {Key: "multi", Value: true}}}})
}
