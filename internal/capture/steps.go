package capture

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
)

// step is one kind of DDL. If a server is too old or too new for it, the refusal is recorded. Steps
// depend on each other only by their collections.
type step struct {
	name string
	run  func(ctx context.Context, db databases) error
}

// databases are the main database, and a second one for operations across databases.
type databases struct{ main, other *mongo.Database }

// commands returns a step of commands in the main database.
func commands(name string, all ...bson.D) step {
	return step{name, func(ctx context.Context, db databases) error {
		for _, command := range all {
			if err := db.main.RunCommand(ctx, command).Err(); err != nil {
				return err
			}
		}
		return nil
	}}
}

// command returns a command, with its name and target first.
func command(name, target string, rest ...bson.E) bson.D {
	return append(bson.D{{Key: name, Value: target}}, rest...)
}

func field(name string, value any) bson.E { return bson.E{Key: name, Value: value} }

func index(name string, key bson.D, rest ...bson.E) bson.D {
	return append(bson.D{{Key: "key", Value: key}, {Key: "name", Value: name}}, rest...)
}

func indexes(collection string, specs ...bson.D) bson.D {
	return command("createIndexes", collection, field("indexes", specs))
}

func modifyIndex(collection, name string, rest ...bson.E) bson.D {
	return command("collMod", collection, field("index", append(bson.D{{Key: "name", Value: name}}, rest...)))
}

func insert(collection string, number int) bson.D {
	documents := make(bson.A, number)
	for i := range documents {
		documents[i] = bson.D{{Key: "a", Value: i}, {Key: "same", Value: 1}}
	}
	return command("insert", collection, field("documents", documents))
}

func ascending() bson.D { return bson.D{{Key: "a", Value: 1}} }

func validator() bson.D { return bson.D{{Key: "a", Value: bson.D{{Key: "$gte", Value: 0}}}} }

// steps returns all kinds of DDL, in an order in which each has what it needs.
func steps() []step {
	return append(append(collectionSteps(), indexSteps()...), otherSteps()...)
}

func collectionSteps() []step {
	return []step{
		commands("create", command("create", "plain")),
		commands("create capped", command("create", "capped", field("capped", true), field("size", 4096), field("max", 10))),
		commands("create with validator and collation", command("create", "validated", field("validator", validator()),
			field("validationLevel", "moderate"), field("collation", bson.D{{Key: "locale", Value: "de"}}))),
		commands("create clustered", command("create", "clustered",
			field("clusteredIndex", bson.D{{Key: "key", Value: bson.D{{Key: "_id", Value: 1}}}, {Key: "unique", Value: true}}))),
		commands("create with pre-images", command("create", "images", field("changeStreamPreAndPostImages", bson.D{{Key: "enabled", Value: true}}))),
		commands("create by insert", insert("implicit", 1)),
		commands("create with a name of quotes", command("create", `it's "quoted" \ x`)),
		commands("inserts in bulk", insert("populated", 50)),
		commands("collMod validator", command("collMod", "plain", field("validator", validator()), field("validationAction", "warn"))),
		commands("collMod pre-images", command("collMod", "images", field("changeStreamPreAndPostImages", bson.D{{Key: "enabled", Value: false}}))),
		commands("collMod capped size", command("collMod", "capped", field("cappedSize", 8192))),
		commands("convertToCapped", insert("tocapped", 3), command("convertToCapped", "tocapped", field("size", 4096))),
		commands("cloneCollectionAsCapped", command("cloneCollectionAsCapped", "populated", field("toCollection", "cloned"), field("size", 4096))),
	}
}

func indexSteps() []step {
	return []step{
		commands("createIndexes on an empty collection", indexes("plain", index("a_1", ascending()))),
		commands("createIndexes on a missing collection", indexes("made", index("a_1", ascending()))),
		commands("createIndexes on documents", indexes("populated", index("a_1", ascending()))),
		commands("createIndexes, two at once", indexes("populated", index("b_1", bson.D{{Key: "b", Value: 1}}), index("c_-1", bson.D{{Key: "c", Value: -1}}))),
		commands("createIndexes with options", indexes("plain",
			index("unique", bson.D{{Key: "u", Value: 1}}, field("unique", true)),
			index("expiry", bson.D{{Key: "at", Value: 1}}, field("expireAfterSeconds", 3600)),
			index("partial", bson.D{{Key: "p", Value: 1}}, field("partialFilterExpression", bson.D{{Key: "p", Value: bson.D{{Key: "$gt", Value: 1}}}})),
			index("text", bson.D{{Key: "t", Value: "text"}}),
			index("sphere", bson.D{{Key: "g", Value: "2dsphere"}}),
			index("hashed", bson.D{{Key: "h", Value: "hashed"}}),
			index("wildcard", bson.D{{Key: "$**", Value: 1}}))),
		{"an index build that fails", func(ctx context.Context, db databases) error {
			err := db.main.RunCommand(ctx, indexes("populated", index("same_1", bson.D{{Key: "same", Value: 1}}, field("unique", true)))).Err()
			if !mongo.IsDuplicateKeyError(err) {
				return errors.Join(errors.New("a unique index over equal values was not refused for a duplicate key"), err)
			}
			return nil
		}},
		commands("collMod expiry", modifyIndex("plain", "expiry", field("expireAfterSeconds", 7200))),
		commands("collMod hidden", modifyIndex("plain", "a_1", field("hidden", true)), modifyIndex("plain", "a_1", field("hidden", false))),
		commands("collMod prepareUnique, unique", modifyIndex("plain", "a_1", field("prepareUnique", true)), modifyIndex("plain", "a_1", field("unique", true))),
		commands("dropIndexes, one", command("dropIndexes", "populated", field("index", "a_1"))),
		commands("dropIndexes, all", command("dropIndexes", "populated", field("index", "*"))),
	}
}

func otherSteps() []step {
	stage := func(name string, value any) bson.A { return bson.A{bson.D{{Key: name, Value: value}}} }
	out := func(to string) bson.D {
		return command("aggregate", "implicit", field("pipeline", stage("$out", to)), field("cursor", bson.D{}))
	}
	weather := bson.D{{Key: "timeField", Value: "t"}, {Key: "metaField", Value: "m"}}
	return []step{
		commands("create view", command("create", "view", field("viewOn", "plain"), field("pipeline", stage("$match", bson.D{})))),
		commands("collMod view", command("collMod", "view", field("viewOn", "plain"), field("pipeline", stage("$limit", 1)))),
		commands("drop view", command("drop", "view")),
		commands("$out to a new collection", out("written")),
		commands("$out over a collection", out("written")),
		{"rename", rename("made", "renamed", false)},
		{"rename over a collection", rename("written", "renamed", true)},
		{"rename to another database", func(ctx context.Context, db databases) error {
			return db.main.Client().Database("admin").RunCommand(ctx, command("renameCollection", db.main.Name()+".renamed",
				field("to", db.other.Name()+".moved"))).Err()
		}},
		{"create in a transaction", transaction},
		commands("create time series", command("create", "weather", field("timeseries", weather), field("expireAfterSeconds", 3600))),
		commands("createIndexes on a time series", indexes("weather", index("m_1_t_1", bson.D{{Key: "m", Value: 1}, {Key: "t", Value: 1}}))),
		commands("collMod expiry of a time series", command("collMod", "weather", field("expireAfterSeconds", 7200))),
		commands("collMod granularity of a time series", command("collMod", "weather", field("timeseries", bson.D{{Key: "granularity", Value: "minutes"}}))),
		commands("dropIndexes on a time series", command("dropIndexes", "weather", field("index", "m_1_t_1"))),
		commands("drop time series", command("drop", "weather")),
		commands("drop", command("drop", "plain")),
		{"dropDatabase", func(ctx context.Context, db databases) error {
			return errors.Join(db.other.Drop(ctx), db.main.Drop(ctx))
		}},
	}
}

func rename(from, to string, over bool) func(context.Context, databases) error {
	return func(ctx context.Context, db databases) error {
		return db.main.Client().Database("admin").RunCommand(ctx, command("renameCollection", db.main.Name()+"."+from,
			field("to", db.main.Name()+"."+to), field("dropTarget", over))).Err()
	}
}

// transaction creates a collection, an index and, by an insert, another collection.
func transaction(ctx context.Context, db databases) error {
	session, err := db.main.Client().StartSession()
	if err != nil {
		return fmt.Errorf("start a session: %w", err)
	}
	defer session.EndSession(ctx)
	_, err = session.WithTransaction(ctx, func(ctx context.Context) (any, error) {
		for _, c := range []bson.D{command("create", "intransaction"), indexes("intransaction", index("a_1", ascending())), insert("inserted", 2)} {
			if err := db.main.RunCommand(ctx, c).Err(); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}, options.Transaction().SetReadConcern(readconcern.Local()))
	return err
}
