package listener

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/internal/sink"
)

// The receivers that are configured by BACKEND_URL and --stdout. Earlier releases know only
// these, and keep their progress in fields of the document: claim, attempts, last_error.
const (
	BackendReceiver = "backend"
	StdoutReceiver  = "stdout"
)

func isPrimary(receiver string) bool {
	return receiver == BackendReceiver || receiver == StdoutReceiver
}

// state is how a notification ended for one receiver, in its field deliveries. It is empty
// while the notification is pending.
type state string

const (
	stateDelivered state = "delivered"
	stateRejected  state = "rejected"
	// stateSkipped is that of a notification older than the receiver's registration.
	stateSkipped state = "skipped"
	// stateExpired is that of one that the receiver gave up.
	stateExpired state = "expired"
)

// undelivered reports whether the notification ended without delivery.
func (s state) undelivered() bool { return s == stateRejected || s == stateExpired }

// parseStates returns the recorded states by receiver.
func parseStates(doc bson.Raw) map[string]state {
	deliveries, ok := doc.Lookup(fieldDeliveries).DocumentOK()
	if !ok {
		return nil
	}
	elements, err := deliveries.Elements()
	if err != nil {
		return nil
	}
	states := map[string]state{}
	for _, e := range elements {
		if delivery, ok := e.Value().DocumentOK(); ok {
			states[e.Key()] = state(text(delivery, "state"))
		}
	}
	return states
}

// registeredReceivers returns the names of the receivers that have registered in the init
// document of a queue.
func registeredReceivers(ctx context.Context, queue *mongo.Collection) ([]string, error) {
	doc, err := queue.FindOne(ctx, bson.D{{Key: "_id", Value: sink.InitID}}).Raw()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the init document: %w", err)
	}
	receivers, ok := doc.Lookup(fieldReceivers).DocumentOK()
	if !ok {
		return nil, nil
	}
	elements, err := receivers.Elements()
	if err != nil {
		return nil, fmt.Errorf("read the receivers in the init document: %w", err)
	}
	names := make([]string, 0, len(elements))
	for _, e := range elements {
		names = append(names, e.Key())
	}
	slices.Sort(names)
	return names, nil
}
