// Package sink defines what a destination of notification documents is, how a sink is
// specified and how its kinds are listed. Each kind is a folder below this one; the package
// registry lists them.
package sink

import (
	"context"
	"fmt"
	"io"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/ownindex"
)

// Sink is a destination of documents.
type Sink interface {
	// Name is the value of the label sink in metrics and logs.
	Name() string
	// Setup creates what the sink needs, or checks it. It is idempotent, and called before the
	// first Write and again after ddltail's own collections were dropped.
	Setup(ctx context.Context, own Own) error
	// Write writes documents in their order and returns after they are durable. After an error
	// it is called again with the same documents: each is written at least once.
	Write(ctx context.Context, docs []notification.Document) error
	// Close releases what Open acquired.
	Close() error
}

// Reopener is a sink whose target may be moved aside under it, such as a rotated file.
type Reopener interface {
	// Reopen reopens the target if it was moved.
	Reopen() error
}

// Own is what a sink may use of ddltail's own deployment.
type Own struct {
	// Database holds ddltail's collections.
	Database *mongo.Database
	// Indexes creates the indexes of these collections. Nil waits for their builds.
	Indexes ownindex.Ensure
	// OnConflict decides what to do with a document whose _id another change has: the write
	// continues without it if it returns nil. Nil returns the error itself.
	OnConflict func(*ConflictError) error
}

// ConflictError is returned if another change has a document's _id.
type ConflictError struct {
	Namespace, ID string
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("%s holds another change as %s: two replica sets write with one SOURCE; "+
		"set a different DDLTAIL_SOURCE for each", e.Namespace, e.ID)
}

// Role decides when a sink is written and what reaches it.
type Role int

// The roles, in reverse of the order in which sinks are written.
const (
	// Copy receives the documents that pass the filters, after all others.
	Copy Role = iota
	// Queue is the notification queue. It receives the documents that pass the filters. Only
	// one NAME of a SOURCE may fill it.
	Queue
	// Audit receives every document, before all others.
	Audit
)

// Output is an open sink with its role.
type Output struct {
	Sink
	Role Role
	// BestEffort is true if the position must not wait for the sink.
	BestEffort bool
	// External is that of its kind.
	External bool
}

// Resources are what a sink may use of its process.
type Resources struct {
	Stdout io.Writer
	Report Report
}

// Report receives what sinks do not return as an error.
type Report interface {
	// Refused is called for a document that a target does not accept for its content; it is
	// written again with its first fields alone.
	Refused(sink, id string, err error)
	// Failed is called for a failed attempt of a best-effort sink.
	Failed(sink string, err error, retryIn time.Duration)
	// Dropped is called for documents that a best-effort sink does not write.
	Dropped(sink string, documents int, reason string)
}

// ConfigurationError is returned by Setup if waiting cannot resolve the problem.
type ConfigurationError struct {
	// Problem says what is wrong, Remedy what to do.
	Problem, Remedy string
}

func (e *ConfigurationError) Error() string { return e.Problem + ": " + e.Remedy }
