package oplog

import (
	"context"
	"errors"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// parts are the earlier entries of a transaction.
type parts map[bson.Timestamp]bson.Raw

func (p parts) Fetch(_ context.Context, ts bson.Timestamp) (Entry, bool, error) {
	raw, ok := p[ts]
	if !ok {
		return Entry{}, false, nil
	}
	e, err := Decode(raw)
	return e, err == nil, err
}

// TestUnitsWithErrors: an entry that cannot be read has its optime and itself as the operation, whichever part of it is the cause.
func TestUnitsWithErrors(t *testing.T) {
	last := func(field string, value any) bson.Raw {
		doc := bson.D{
			{Key: "op", Value: "c"}, {Key: "ns", Value: "admin.$cmd"}, {Key: "o", Value: bson.D{{Key: "applyOps", Value: bson.A{}}}},
			{Key: "ts", Value: bson.Timestamp{T: 9, I: 1}}, {Key: "t", Value: int64(1)},
			{Key: "prevOpTime", Value: bson.D{{Key: "ts", Value: bson.Timestamp{T: 8, I: 1}}, {Key: "t", Value: int64(1)}}},
		}
		return marshal(t, append(doc, bson.E{Key: field, Value: value}))
	}
	first := func(field string, value any) bson.Raw {
		return marshal(t, bson.D{
			{Key: "op", Value: "c"}, {Key: "ns", Value: "admin.$cmd"}, {Key: "o", Value: bson.D{{Key: "applyOps", Value: bson.A{}}, {Key: "partialTxn", Value: true}}},
			{Key: "ts", Value: bson.Timestamp{T: 8, I: 1}}, {Key: "t", Value: int64(1)}, {Key: field, Value: value},
		})
	}
	for _, c := range []struct {
		name      string
		last      bson.Raw
		earlier   parts
		malformed bool
	}{
		{"the entry is malformed", last("ui", "x"), nil, true},
		{"an earlier part is malformed", last("v", 2), parts{{T: 8, I: 1}: first("ui", "x")}, true},
		{"an earlier part has a malformed link", last("v", 2), parts{{T: 8, I: 1}: first("prevOpTime", 1)}, true},
		{"an earlier part was truncated", last("v", 2), nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for unit, err := range (Batch{Entries: []bson.Raw{c.last}, from: c.earlier}).Units(t.Context()) {
				var malformed *DecodeError
				var truncated *ChainError
				if errors.As(err, &malformed) != c.malformed || errors.As(err, &truncated) == c.malformed {
					t.Errorf("%v", err)
				}
				if unit.OpTime.TS.T != 9 || len(unit.Operations) != 1 || unit.Operations[0].OpTime != unit.OpTime {
					t.Errorf("%+v", unit)
				}
			}
		})
	}
}
