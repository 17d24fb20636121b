// Package ddlgen makes random DDL on a real server, and compares what a server has
// with what somebody says it has.
package ddlgen

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// Generator makes random DDL. What a server refuses, because a name is taken or
// gone, changes nothing and is no failure: the server decides what is right.
type Generator struct {
	rand    *rand.Rand
	client  *mongo.Client
	dbs     []string
	refused int
}

// New makes a generator of the DDL of one seed in these databases.
func New(seed uint64, client *mongo.Client, dbs []string) *Generator {
	return &Generator{rand: rand.New(rand.NewPCG(seed, seed)), client: client, dbs: dbs}
}

// Refused is how many operations the server did not take.
func (g *Generator) Refused() int { return g.refused }

func names() []string {
	return []string{
		"payments", "transactions", "a.b", "'); db.dropDatabase(); //", `a"b\c`, "new\nline", "日本", "__proto__",
		"constructor", "0", "stats", "tmp.agg_out.mine",
	}
}

func fields() []string {
	return []string{"a", "b.c", "0", "__proto__", "日本", `q"'\`, "constructor", "x y"}
}

func pick[T any](g *Generator, from []T) T { return from[g.rand.IntN(len(from))] }

func (g *Generator) db() *mongo.Database { return g.client.Database(pick(g, g.dbs)) }
func (g *Generator) name() string        { return pick(g, names()) }
func (g *Generator) field() string       { return pick(g, fields()) }

// patience bounds one operation: the server may wait for ever where two of them
// meet.
const patience = 5 * time.Second

// Step makes one change, or none. Its error says that the server is gone.
func (g *Generator) Step(ctx context.Context) error {
	kinds := []struct {
		weight int
		do     func(context.Context, *mongo.Database, string) error
	}{
		{14, g.create}, {20, g.createIndex}, {6, g.dropIndex}, {6, g.drop}, {8, g.modify}, {8, g.modifyIndex}, {6, g.rename},
		{6, g.view}, {4, g.modifyView}, {4, g.out}, {3, g.toCapped}, {1, g.dropDatabase}, {4, g.transaction}, {10, g.insert},
	}
	total := 0
	for _, k := range kinds {
		total += k.weight
	}
	n := g.rand.IntN(total)
	for _, k := range kinds {
		if n -= k.weight; n < 0 {
			bounded, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			err := k.do(bounded, g.db(), g.name())
			if err == nil {
				return nil
			}
			g.refused++
			alive, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			return g.client.Ping(alive, nil)
		}
	}
	return nil
}

func (g *Generator) create(ctx context.Context, db *mongo.Database, name string) error {
	options := []bson.D{
		nil,
		{{Key: "capped", Value: true}, {Key: "size", Value: 4096 * (1 + g.rand.IntN(3))}, {Key: "max", Value: 10}},
		{{Key: "validator", Value: g.validator()}, {Key: "validationLevel", Value: "moderate"}},
		{{Key: "collation", Value: bson.D{{Key: "locale", Value: "fr"}, {Key: "strength", Value: 2}}}},
		{{Key: "timeseries", Value: bson.D{{Key: "timeField", Value: "t"}, {Key: "metaField", Value: "m"}}}, {Key: "expireAfterSeconds", Value: 3600}},
		{{Key: "clusteredIndex", Value: bson.D{{Key: "key", Value: bson.D{{Key: "_id", Value: 1}}}, {Key: "unique", Value: true}, {Key: "name", Value: "cl"}}}},
		{{Key: "changeStreamPreAndPostImages", Value: bson.D{{Key: "enabled", Value: true}}}},
	}
	return db.RunCommand(ctx, append(bson.D{{Key: "create", Value: name}}, pick(g, options)...)).Err()
}

func (g *Generator) validator() bson.D {
	return bson.D{{Key: "b", Value: bson.D{{Key: "$gt", Value: g.rand.IntN(9)}}}, {Key: g.field(), Value: bson.D{{Key: "$exists", Value: true}}}}
}

func (g *Generator) createIndex(ctx context.Context, db *mongo.Database, name string) error {
	key := bson.D{{Key: g.field(), Value: pick(g, []int{1, -1})}}
	if f := g.field(); f != key[0].Key && g.rand.IntN(2) == 0 {
		key = append(key, bson.E{Key: f, Value: 1})
	}
	spec := bson.D{{Key: "key", Value: key}, {Key: "name", Value: fmt.Sprintf("i'%d", g.rand.IntN(12))}}
	switch g.rand.IntN(10) {
	case 0:
		spec = append(spec, bson.E{Key: "unique", Value: true})
	case 1:
		spec = append(spec, bson.E{Key: "sparse", Value: true})
	case 2:
		spec = append(spec, bson.E{Key: "expireAfterSeconds", Value: 100000})
	case 3:
		spec = append(spec, bson.E{Key: "partialFilterExpression", Value: bson.D{{Key: "a", Value: bson.D{{Key: "$gt", Value: 5}}}}})
	case 4:
		spec = append(spec, bson.E{Key: "collation", Value: bson.D{{Key: "locale", Value: "de"}}})
	case 5:
		spec[0].Value = bson.D{{Key: g.field(), Value: "text"}, {Key: "z", Value: "text"}}
	case 6:
		spec[0].Value = bson.D{{Key: g.field(), Value: "2dsphere"}}
	case 7:
		spec[0].Value = bson.D{{Key: g.field(), Value: "hashed"}}
	case 8:
		spec[0].Value = bson.D{{Key: "$**", Value: 1}}
	case 9:
		spec[0].Value = bson.D{{Key: "m.x", Value: 1}, {Key: "t", Value: -1}}
	}
	return db.RunCommand(ctx, bson.D{{Key: "createIndexes", Value: name}, {Key: "indexes", Value: bson.A{spec}}}).Err()
}

func (g *Generator) dropIndex(ctx context.Context, db *mongo.Database, name string) error {
	return db.RunCommand(ctx, bson.D{{Key: "dropIndexes", Value: name}, {Key: "index", Value: fmt.Sprintf("i'%d", g.rand.IntN(12))}}).Err()
}

func (g *Generator) drop(ctx context.Context, db *mongo.Database, name string) error {
	return db.RunCommand(ctx, bson.D{{Key: "drop", Value: name}}).Err()
}

// errView says that a change is not tried on a view: 6.0.5 crashes on a collMod of
// one with cappedSize (parseCollModRequest, a null pointer).
var errView = errors.New("a view has no such options")

func (g *Generator) modify(ctx context.Context, db *mongo.Database, name string) error {
	found, err := db.ListCollectionSpecifications(ctx, bson.D{{Key: "name", Value: name}})
	if err != nil {
		return err
	}
	if len(found) > 0 && found[0].Type == "view" {
		return errView
	}
	changes := []bson.D{
		{{Key: "validator", Value: g.validator()}},
		{{Key: "validator", Value: bson.D{}}},
		{{Key: "validationLevel", Value: "strict"}, {Key: "validationAction", Value: "warn"}},
		{{Key: "changeStreamPreAndPostImages", Value: bson.D{{Key: "enabled", Value: g.rand.IntN(2) == 0}}}},
		{{Key: "timeseries", Value: bson.D{{Key: "granularity", Value: "minutes"}}}},
		{{Key: "expireAfterSeconds", Value: 7200}},
		{{Key: "cappedSize", Value: 40960}, {Key: "cappedMax", Value: 20}},
	}
	return db.RunCommand(ctx, append(bson.D{{Key: "collMod", Value: name}}, pick(g, changes)...)).Err()
}

func (g *Generator) modifyIndex(ctx context.Context, db *mongo.Database, name string) error {
	index := bson.D{{Key: "name", Value: fmt.Sprintf("i'%d", g.rand.IntN(12))}}
	if g.rand.IntN(3) == 0 {
		index = append(index, bson.E{Key: "expireAfterSeconds", Value: 200000})
	} else {
		index = append(index, bson.E{Key: "hidden", Value: g.rand.IntN(2) == 0})
	}
	return db.RunCommand(ctx, bson.D{{Key: "collMod", Value: name}, {Key: "index", Value: index}}).Err()
}

func (g *Generator) rename(ctx context.Context, db *mongo.Database, name string) error {
	return g.client.Database("admin").RunCommand(ctx, bson.D{
		{Key: "renameCollection", Value: db.Name() + "." + name},
		{Key: "to", Value: pick(g, g.dbs) + "." + g.name()},
		{Key: "dropTarget", Value: g.rand.IntN(2) == 0},
	}).Err()
}

func (g *Generator) view(ctx context.Context, db *mongo.Database, name string) error {
	return db.RunCommand(ctx, bson.D{{Key: "create", Value: name}, {Key: "viewOn", Value: g.name()}, {Key: "pipeline", Value: g.pipeline()}}).Err()
}

func (g *Generator) pipeline() bson.A {
	return bson.A{bson.D{{Key: "$match", Value: bson.D{{Key: "b", Value: 1}, {Key: "0", Value: g.rand.IntN(5)}}}}}
}

func (g *Generator) modifyView(ctx context.Context, db *mongo.Database, name string) error {
	return db.RunCommand(ctx, bson.D{{Key: "collMod", Value: name}, {Key: "viewOn", Value: "payments"}, {Key: "pipeline", Value: g.pipeline()}}).Err()
}

func (g *Generator) out(ctx context.Context, db *mongo.Database, name string) error {
	_, err := db.Collection(name).Aggregate(ctx, bson.A{bson.D{{Key: "$limit", Value: 1}}, bson.D{{Key: "$out", Value: g.name()}}})
	return err
}

func (g *Generator) toCapped(ctx context.Context, db *mongo.Database, name string) error {
	return db.RunCommand(ctx, bson.D{{Key: "convertToCapped", Value: name}, {Key: "size", Value: 8192}}).Err()
}

func (g *Generator) dropDatabase(ctx context.Context, db *mongo.Database, _ string) error {
	return db.RunCommand(ctx, bson.D{{Key: "dropDatabase", Value: 1}}).Err()
}

func (g *Generator) transaction(ctx context.Context, db *mongo.Database, name string) error {
	session, err := g.client.StartSession()
	if err != nil {
		return err
	}
	defer session.EndSession(ctx)
	if err := session.StartTransaction(); err != nil {
		return err
	}
	inTransaction := mongo.NewSessionContext(ctx, session)
	for _, cmd := range []bson.D{
		{{Key: "create", Value: name}},
		{{Key: "createIndexes", Value: name}, {Key: "indexes", Value: bson.A{bson.D{{Key: "key", Value: bson.D{{Key: g.field(), Value: 1}}}, {Key: "name", Value: "i'1"}}}}},
		{{Key: "insert", Value: g.name()}, {Key: "documents", Value: bson.A{bson.D{{Key: "a", Value: 1}}}}},
	} {
		if err := db.RunCommand(inTransaction, cmd).Err(); err != nil {
			return errors.Join(err, session.AbortTransaction(ctx))
		}
	}
	return session.CommitTransaction(ctx)
}

func (g *Generator) insert(ctx context.Context, db *mongo.Database, name string) error {
	_, err := db.Collection(name).InsertOne(ctx, bson.D{{Key: "a", Value: 10}, {Key: "b", Value: 100}, {Key: "t", Value: bson.DateTime(0)}})
	return err
}
