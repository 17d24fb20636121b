package listener

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Notification is one notification to send.
type Notification struct {
	// ID is the same for every attempt, so that a receiver can detect duplicates.
	ID string
	// Document is the stored document without the fields that the listener owns.
	Document bson.Raw
}

func newNotification(doc bson.Raw) (Notification, error) {
	elements, err := doc.Elements()
	if err != nil {
		return Notification{}, fmt.Errorf("read a notification: %w", err)
	}
	fields := make(bson.D, 0, len(elements))
	for _, e := range elements {
		if !ownField(e.Key()) {
			fields = append(fields, bson.E{Key: e.Key(), Value: e.Value()})
		}
	}
	own, err := bson.Marshal(fields)
	if err != nil {
		return Notification{}, fmt.Errorf("copy a notification: %w", err)
	}
	id, err := messageID(doc.Lookup("_id"))
	if err != nil {
		return Notification{}, err
	}
	return Notification{ID: id, Document: own}, nil
}

// JSON returns the document as relaxed Extended JSON.
func (n Notification) JSON() ([]byte, error) {
	body, err := bson.MarshalExtJSON(n.Document, false, false)
	if err != nil {
		return nil, fmt.Errorf("encode a notification as JSON: %w", err)
	}
	return body, nil
}

func ownField(name string) bool {
	switch name {
	case fieldProcessedAt, fieldAttempts, fieldLastError, fieldError, fieldDuplicateOf, fieldClaim,
		fieldDeliveries, fieldRedeliveredAt:
		return true
	}
	return false
}

// messageID returns the SHA-256 of the _id in hex. A receiver can compute it from the
// body: a string as it is, the hex digits of an ObjectId, for any other type the
// canonical Extended JSON of {"_id": …}.
func messageID(id bson.RawValue) (string, error) {
	var text []byte
	if s, ok := id.StringValueOK(); ok {
		text = []byte(s)
	} else if o, ok := id.ObjectIDOK(); ok {
		text = []byte(o.Hex())
	} else {
		var err error
		if text, err = bson.MarshalExtJSON(bson.D{{Key: "_id", Value: id}}, true, false); err != nil {
			return "", fmt.Errorf("encode an _id as JSON: %w", err)
		}
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}
