package main

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// stage is one step of the tour: the command as a user types it, the function that runs it, and the
// expected notifications.
type stage struct {
	typed string
	do    func(context.Context) error
	want  []string
	// since is the wire version of the first server that supports it.
	since int32
}

// wireTimeSeries is the wire version of 5.0.
const wireTimeSeries = 13

// plain returns common changes.
func plain(db *mongo.Database) []stage {
	return []stage{
		{
			`db.createCollection("payments")`,
			run(db, bson.D{{Key: "create", Value: "payments"}}),
			[]string{"CREATE_COLLECTION payments"},
			0,
		},
		{
			`db.transactions.insertMany([{amount: 12.5, account: "A-1"}, {amount: 80, account: "A-1"}])   // creates the collection`,
			func(ctx context.Context) error {
				_, err := db.Collection("transactions").InsertMany(ctx, []any{
					bson.D{{Key: "amount", Value: 12.5}, {Key: "account", Value: "A-1"}},
					bson.D{{Key: "amount", Value: 80}, {Key: "account", Value: "A-1"}},
				})
				return err
			},
			[]string{"CREATE_COLLECTION transactions"},
			0,
		},
		{
			`db.transactions.createIndex({amount: 1}, {name: "amount_idx"})   // a two-phase build`,
			run(db, index("transactions", bson.D{{Key: "amount", Value: 1}}, bson.E{Key: "name", Value: "amount_idx"})),
			[]string{"CREATE_INDEX transactions amount_idx"},
			0,
		},
		{
			`db.transactions.createIndex({at: 1}, {expireAfterSeconds: 86400})`,
			run(db, index("transactions", bson.D{{Key: "at", Value: 1}}, bson.E{Key: "name", Value: "at_1"}, bson.E{Key: "expireAfterSeconds", Value: 86400})),
			[]string{"CREATE_INDEX transactions at_1"},
			0,
		},
		{
			`db.transactions.dropIndex("amount_idx")`,
			run(db, bson.D{{Key: "dropIndexes", Value: "transactions"}, {Key: "index", Value: "amount_idx"}}),
			[]string{"DROP_INDEX transactions amount_idx"},
			0,
		},
	}
}

// disguised returns changes that have another form in the oplog: documents in system.views, temporary
// collections, transactions.
func disguised(db *mongo.Database) []stage {
	out := func(to string) bson.D {
		return bson.D{{Key: "aggregate", Value: "transactions"}, {Key: "pipeline", Value: bson.A{bson.D{{Key: "$out", Value: to}}}}, {Key: "cursor", Value: bson.D{}}}
	}
	admin := db.Client().Database("admin")
	return []stage{
		{
			`db.runCommand({collMod: "transactions", index: {name: "at_1", expireAfterSeconds: 604800}})`,
			run(db, bson.D{{Key: "collMod", Value: "transactions"}, {Key: "index", Value: bson.D{{Key: "name", Value: "at_1"}, {Key: "expireAfterSeconds", Value: 604800}}}}),
			[]string{"MODIFY_COLLECTION transactions at_1"},
			0,
		},
		{
			`db.transactions.createIndex({account: 1}, {unique: true})   // fails: there are two of A-1`,
			fails(db, index("transactions", bson.D{{Key: "account", Value: 1}}, bson.E{Key: "name", Value: "account_1"}, bson.E{Key: "unique", Value: true})),
			[]string{"ABORT_INDEX_BUILD transactions account_1"},
			0,
		},
		{
			`db.createView("large", "transactions", [{$match: {amount: {$gt: 50}}}])   // a document in system.views`,
			run(db, bson.D{{Key: "create", Value: "large"}, {Key: "viewOn", Value: "transactions"}, {Key: "pipeline", Value: bson.A{
				bson.D{{Key: "$match", Value: bson.D{{Key: "amount", Value: bson.D{{Key: "$gt", Value: 50}}}}}}}}}),
			[]string{"CREATE_VIEW large"},
			0,
		},
		{
			`db.createCollection("rates", {timeseries: {timeField: "t", metaField: "currency"}})   // a collection of buckets and a view`,
			run(db, bson.D{{Key: "create", Value: "rates"}, {Key: "timeseries", Value: bson.D{{Key: "timeField", Value: "t"}, {Key: "metaField", Value: "currency"}}}}),
			[]string{"CREATE_COLLECTION rates"},
			wireTimeSeries,
		},
		{
			`db.rates.createIndex({"currency.code": 1, t: -1})   // an index on the fields of buckets`,
			run(db, index("rates", bson.D{{Key: "currency.code", Value: 1}, {Key: "t", Value: -1}}, bson.E{Key: "name", Value: "currency.code_1_t_-1"})),
			[]string{"CREATE_INDEX rates currency.code_1_t_-1"},
			wireTimeSeries,
		},
		{`db.transactions.aggregate([{$out: "totals"}])   // a temporary collection, and a rename`, run(db, out("totals")), []string{"CREATE_COLLECTION totals"}, 0},
		{`db.transactions.aggregate([{$out: "totals"}])   // again, over the first`, run(db, out("totals")), []string{"REPLACE_COLLECTION totals"}, 0},
		{
			`db.totals.renameCollection("payments", true)   // drops payments; the oplog has no entry for that drop`,
			run(admin, bson.D{{Key: "renameCollection", Value: db.Name() + ".totals"}, {Key: "to", Value: db.Name() + ".payments"}, {Key: "dropTarget", Value: true}}),
			[]string{"DROP_COLLECTION payments", "RENAME_COLLECTION totals"},
			0,
		},
		{
			`session.withTransaction(…)   // makes ledger and an index of it, and writes to both collections`,
			func(ctx context.Context) error { return inTransaction(ctx, db) },
			[]string{"CREATE_COLLECTION ledger", "CREATE_INDEX ledger entry_1"},
			0,
		},
		{
			`db.runCommand({convertToCapped: "ledger", size: 65536})   // copies it, and renames the copy`,
			run(db, bson.D{{Key: "convertToCapped", Value: "ledger"}, {Key: "size", Value: 65536}}),
			[]string{"CONVERT_TO_CAPPED ledger"},
			0,
		},
		{
			`db.adminCommand({renameCollection: "banking_db.ledger", to: "archive_db.ledger"})   // copies and drops it`,
			run(admin, bson.D{{Key: "renameCollection", Value: db.Name() + ".ledger"}, {Key: "to", Value: "archive_db.ledger"}}),
			[]string{"CREATE_COLLECTION ledger", "DROP_COLLECTION ledger"},
			0,
		},
		{
			`db.getSiblingDB("archive_db").dropDatabase()`,
			run(db.Client().Database("archive_db"), bson.D{{Key: "dropDatabase", Value: 1}}),
			[]string{"DROP_COLLECTION ledger", "DROP_DATABASE"},
			0,
		},
	}
}

func index(coll string, key bson.D, options ...bson.E) bson.D {
	spec := append(bson.D{{Key: "key", Value: key}}, options...)
	return bson.D{{Key: "createIndexes", Value: coll}, {Key: "indexes", Value: bson.A{spec}}}
}

func run(db *mongo.Database, cmd bson.D) func(context.Context) error {
	return func(ctx context.Context) error { return db.RunCommand(ctx, cmd).Err() }
}

// fails is run for a command that the server must refuse.
func fails(db *mongo.Database, cmd bson.D) func(context.Context) error {
	return func(ctx context.Context) error {
		var refused mongo.ServerError
		err := db.RunCommand(ctx, cmd).Err()
		if err == nil {
			return errors.New("the server accepted a command that it should refuse")
		}
		if errors.As(err, &refused) {
			return nil
		}
		return err
	}
}

func inTransaction(ctx context.Context, db *mongo.Database) error {
	session, err := db.Client().StartSession()
	if err != nil {
		return err
	}
	defer session.EndSession(ctx)
	_, err = session.WithTransaction(ctx, func(ctx context.Context) (any, error) {
		for _, cmd := range []bson.D{
			{{Key: "create", Value: "ledger"}},
			index("ledger", bson.D{{Key: "entry", Value: 1}}, bson.E{Key: "name", Value: "entry_1"}),
			{{Key: "insert", Value: "ledger"}, {Key: "documents", Value: bson.A{bson.D{{Key: "entry", Value: 1}}}}},
			{{Key: "insert", Value: "transactions"}, {Key: "documents", Value: bson.A{bson.D{{Key: "amount", Value: 7}, {Key: "account", Value: "A-2"}}}}},
		} {
			if err := db.RunCommand(ctx, cmd).Err(); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
	return err
}
