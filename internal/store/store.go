// Package store is ddltail's own database: the names of its collections, the connection, the indexes,
// and what several packages read of it.
package store

import (
	"errors"

	"go.mongodb.org/mongo-driver/v2/mongo"
)

// The names of ddltail's own collections.
const (
	Notifications = "schema_notifications"
	History       = "schema_history"
	Catalog       = "schema_catalog"
	Checkpoints   = "schema_checkpoints"
	// Actors is the collection of who made changes, where that was found after the notification was
	// written.
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

// Unauthorized reports whether the user lacks the right to what was tried.
func Unauthorized(err error) bool { return hasCode(err, codeUnauthorized) }

func hasCode(err error, code int) bool {
	var se mongo.ServerError
	return errors.As(err, &se) && se.HasErrorCode(code)
}
