package ddlgen

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// patience bounds one operation: two concurrent ones can make the server wait forever.
const patience = 5 * time.Second

// Operation is one step: a command, or several in a transaction. It is pure data, so that
// a list of operations can be repeated and reduced.
type Operation struct {
	db       string
	commands []bson.D
	// transaction puts the commands in one; abort ends it without a commit.
	transaction, abort bool
	// notOnView skips the operation if its collection is a view.
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

// errView is returned for an operation that is skipped on a view: 6.0.5 crashes on a
// collMod of a view with cappedSize (null pointer in parseCollModRequest).
var errView = errors.New("a view has no such options")

// Run runs the operation on a server. If the server refuses it, for example because the
// name exists, nothing changes; a test must not fail on that error.
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

// Alive returns an error if the server no longer answers, for example after a crash.
func Alive(ctx context.Context, client *mongo.Client) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return client.Ping(ctx, nil)
}
