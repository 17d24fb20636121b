package ddlgen

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// patience bounds one operation: the server may wait for ever where two of them
// meet.
const patience = 5 * time.Second

// Operation is what one step does: a command, or several in a transaction. It is data
// alone, so that a list of them can be run again and made shorter.
type Operation struct {
	db       string
	commands []bson.D
	// transaction puts the commands in one; abort ends it without a commit.
	transaction, abort bool
	// notOnView leaves the operation out where its collection is a view.
	notOnView bool
}

func (o Operation) String() string {
	var out []string
	for _, cmd := range o.commands {
		text, err := bson.MarshalExtJSON(cmd, false, false)
		if err != nil {
			text = []byte(err.Error())
		}
		out = append(out, o.db+": "+string(text))
	}
	text := strings.Join(out, "; ")
	if o.transaction {
		return "transaction (aborted: " + map[bool]string{true: "yes", false: "no"}[o.abort] + "): " + text
	}
	return text
}

// errView says that a change is not tried on a view: 6.0.5 crashes on a collMod of
// one with cappedSize (parseCollModRequest, a null pointer).
var errView = errors.New("a view has no such options")

// Run does it on a server. What a server refuses, because a name is taken or gone,
// changes nothing and is no failure of a test: the server decides what is right.
func (o Operation) Run(ctx context.Context, client *mongo.Client) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	db := client.Database(o.db)
	if o.notOnView {
		name, _ := o.commands[0][0].Value.(string)
		found, err := db.ListCollectionSpecifications(ctx, bson.D{{Key: "name", Value: name}})
		if err != nil {
			return err
		}
		if len(found) > 0 && found[0].Type == "view" {
			return errView
		}
	}
	if o.transaction {
		return o.inTransaction(ctx, db)
	}
	for _, cmd := range o.commands {
		if err := db.RunCommand(ctx, cmd).Err(); err != nil {
			return err
		}
	}
	return nil
}

func (o Operation) inTransaction(ctx context.Context, db *mongo.Database) error {
	session, err := db.Client().StartSession()
	if err != nil {
		return err
	}
	defer session.EndSession(ctx)
	if err := session.StartTransaction(); err != nil {
		return err
	}
	for _, cmd := range o.commands {
		if err := db.RunCommand(mongo.NewSessionContext(ctx, session), cmd).Err(); err != nil {
			return errors.Join(err, session.AbortTransaction(ctx))
		}
	}
	if o.abort {
		return session.AbortTransaction(ctx)
	}
	return session.CommitTransaction(ctx)
}

// Alive sees that the server has outlived what it was asked for.
func Alive(ctx context.Context, client *mongo.Client) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return client.Ping(ctx, nil)
}
