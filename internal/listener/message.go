package listener

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/delivery"
)

// newMessage encodes a document as relaxed Extended JSON, without the fields that the
// listener owns.
func newMessage(doc bson.Raw) (delivery.Message, error) {
	elements, err := doc.Elements()
	if err != nil {
		return delivery.Message{}, fmt.Errorf("read a notification: %w", err)
	}
	fields := make(bson.D, 0, len(elements))
	for _, e := range elements {
		if !ownField(e.Key()) {
			fields = append(fields, bson.E{Key: e.Key(), Value: e.Value()})
		}
	}
	body, err := bson.MarshalExtJSON(fields, false, false)
	if err != nil {
		return delivery.Message{}, fmt.Errorf("encode a notification as JSON: %w", err)
	}
	id, err := messageID(doc.Lookup("_id"))
	if err != nil {
		return delivery.Message{}, err
	}
	return delivery.Message{ID: id, Body: body}, nil
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
// body: of a string as it is, of an ObjectId its hex digits, of any other type the
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
