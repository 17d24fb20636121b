// Package store is ddltail's own database: the names of its collections, the connection, the
// indexes, and queries that several packages share.
package store

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// The names of ddltail's own collections.
const (
	Notifications = "schema_notifications"
	History       = "schema_history"
	Catalog       = "schema_catalog"
	Checkpoints   = "schema_checkpoints"
	// Actors has the actors that were found after their notification was written.
	Actors = "schema_actors"
)

// Collections returns the full namespaces of ddltail's own collections, which are
// never watched.
func Collections(database string) []string {
	return []string{
		database + "." + Notifications,
		database + "." + History,
		database + "." + Catalog,
		database + "." + Checkpoints,
		database + "." + Actors,
	}
}

const (
	codeUnauthorized    = 13
	codeNamespaceExists = 48
)

// Unauthorized reports whether the user lacks a privilege for the command.
func Unauthorized(err error) bool { return hasCode(err, codeUnauthorized) }

func hasCode(err error, code int) bool {
	var se mongo.ServerError
	return errors.As(err, &se) && se.HasErrorCode(code)
}

// Exists reports whether one of the named collections exists. It needs no privilege but one on
// the collection.
func Exists(ctx context.Context, db *mongo.Database, collections ...string) (bool, error) {
	found, err := db.ListCollectionNames(ctx, bson.D{{Key: "name", Value: bson.D{{Key: "$in", Value: collections}}}},
		options.ListCollections().SetNameOnly(true).SetAuthorizedCollections(true))
	if err != nil {
		return false, fmt.Errorf("list the collections of %s: %w", db.Name(), err)
	}
	return len(found) > 0, nil
}
