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

// Reopener is a sink whose target may be renamed while it is open, such as a rotated file.
type Reopener interface {
	// Reopen reopens the target if it was moved.
	Reopen() error
}

// Own gives a sink access to the deployment that holds ddltail's own collections.
type Own struct {
	// Database holds ddltail's collections.
	Database *mongo.Database
	// Indexes creates the indexes of these collections. If it is nil, Setup waits until they are
	// built.
	Indexes ownindex.Ensure
	// OnConflict is called if a document's _id is already used by a different change. If it
	// returns nil, the document is skipped and the write continues. If OnConflict is nil, Write
	// returns the *ConflictError.
	OnConflict func(*ConflictError) error
}

// ConflictError is returned if a document's _id is already used by a different change.
type ConflictError struct {
	Namespace, ID string
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("%s already has a different change with _id %s: two replica sets write with one SOURCE; "+
		"set a different DDLTAIL_SOURCE for each", e.Namespace, e.ID)
}

// Role decides when a sink is written and which documents it receives.
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
	// BestEffort is true if the checkpoint must not wait for the sink.
	BestEffort bool
	// External is copied from Kind.External.
	External bool
}

// Resources are what a sink may use of its process.
type Resources struct {
	Stdout io.Writer
	Report Report
}

// Report receives what sinks do not return as an error.
type Report interface {
	// Refused is called for a document that a target rejects because of its content; the reduced
	// document (notification.Reduced) is written instead.
	Refused(sink, id string, err error)
	// Failed is called for a failed attempt of a best-effort sink.
	Failed(sink string, err error, retryIn time.Duration)
	// Dropped is called for documents that a best-effort sink does not write.
	Dropped(sink string, documents int, reason string)
}

// ConfigurationError is returned by Setup for a problem in the configuration, which a retry cannot
// resolve.
type ConfigurationError struct {
	// Problem says what is wrong, Remedy what to do.
	Problem, Remedy string
}

func (e *ConfigurationError) Error() string { return e.Problem + ": " + e.Remedy }
