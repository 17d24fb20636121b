package listener

import (
	"errors"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/store"
)

const redeliverValidator = `{$jsonSchema: {required: ['a']}}`

// TestRedeliver checks which notifications a redelivery selects, and what is left of them.
func TestRedeliver(t *testing.T) {
	s := newScene(t, set.URI())
	hex := bson.NewObjectID()
	ended := func(state string) bson.M { return bson.M{"state": state, "at": bson.DateTime(1)} }
	doc := func(id any, at float64, more bson.M) bson.M {
		d := bson.M{"_id": id, "operation": "X", "collection": "c", "timestamp": at, "processed": true, "processed_at": bson.DateTime(1), "attempts": 1}
		for k, v := range more {
			d[k] = v
		}
		return d
	}
	oplogID := func(second uint32) string {
		return notification.ID{Source: "rs0", TS: bson.Timestamp{T: second, I: 1}}.String()
	}
	docs := []bson.M{
		doc(oplogID(100), 100, nil),
		doc(oplogID(200), 200, bson.M{"error": "answered 400", "last_error": "x"}),
		doc(hex, 300, bson.M{"deliveries": bson.M{"backend": ended("delivered"), "chat": ended("rejected"), "pager": ended("skipped")}, "error": "x"}),
		doc("pending", 400, bson.M{"processed": false}),
		doc("half", 500, bson.M{"processed": false, "deliveries": bson.M{"chat": ended("expired"), "pager": bson.M{"attempts": 3}}}),
		doc("duplicate", 600, bson.M{"duplicate_of": oplogID(100)}),
	}
	history := []bson.M{
		{"_id": oplogID(100), "operation": "X", "database": "d", "collection": "c", "timestamp": 100.0},
		{"_id": oplogID(700), "operation": "X", "database": "d", "collection": "c", "timestamp": 700.0, "after": bson.M{"$validator": redeliverValidator}},
		{"_id": oplogID(800), "operation": "X", "database": "excluded", "collection": "c", "timestamp": 800.0},
	}
	reset := func() {
		_, err := s.queue.DeleteMany(t.Context(), bson.M{"operation": bson.M{"$exists": true}})
		s.must(err)
		s.insert(docs...)
		s.insert(bson.M{"_id": "new", "operation": "X", "collection": "c", "timestamp": 50.0, "deliveries": bson.M{"chat": ended("delivered")}})
	}
	_, err := s.queue.UpdateOne(t.Context(), bson.M{"_id": "init"}, bson.M{"$set": bson.M{"receivers": bson.M{"chat": bson.DateTime(1), "pager": bson.DateTime(1)}}})
	s.must(err)
	_, err = s.db.Collection(store.History).InsertMany(t.Context(), history)
	s.must(err)

	_, err = s.db.Collection(store.Checkpoints).InsertOne(t.Context(), bson.M{
		"_id": "rs0:default", "source": "rs0", "name": "default", "queue": true, "wiring": bson.M{"namespaces": bson.A{"d.*"}},
	})
	s.must(err)
	at := func(second int64) time.Time { return time.Unix(second, 0) }
	for _, c := range []struct {
		name string
		r    Redelivery
		want Redelivered
		// left lists documents as they must be.
		left []bson.M
	}{
		{"by short ID", Redelivery{IDs: []string{"100:1"}, Sources: []string{"rs0"}}, Redelivered{1, 0}, []bson.M{
			{"_id": oplogID(100), "processed": false, "attempts": nil, "processed_at": nil, "deliveries": nil, "redelivered_at": bson.M{"$type": "date"}},
		}},
		{"an ObjectId, to all", Redelivery{IDs: []string{hex.Hex()}}, Redelivered{1, 0}, []bson.M{
			{"_id": hex, "processed": false, "error": nil, "attempts": nil, "deliveries.backend": nil, "deliveries.chat": nil, "deliveries.pager.state": "skipped"},
		}},
		{"rejected", Redelivery{Rejected: true}, Redelivered{3, 0}, []bson.M{
			{"_id": oplogID(100), "processed": true},
			{"_id": oplogID(200), "processed": false, "error": nil, "attempts": nil, "last_error": nil,
				"deliveries.backend": nil, "deliveries.chat.state": "skipped"},
			{"_id": hex, "processed": false, "error": nil, "attempts": 1, "deliveries.chat": nil, "deliveries.backend.state": "delivered"},
			{"_id": "half", "processed": false, "deliveries.chat": nil, "deliveries.pager.attempts": 3, "deliveries.backend": nil},
		}},
		{"one without processed", Redelivery{IDs: []string{"new"}}, Redelivered{1, 0}, []bson.M{
			{"_id": "new", "processed": false, "deliveries.chat": nil},
		}},
		{"rejected by one receiver", Redelivery{Rejected: true, Receiver: "chat", Since: at(250)}, Redelivered{2, 0}, nil},
		{"of one receiver", Redelivery{IDs: []string{hex.Hex()}, Receiver: "pager"}, Redelivered{1, 0}, []bson.M{
			{"_id": hex, "processed": false, "deliveries.pager": nil, "deliveries.chat.state": "rejected", "deliveries.backend.state": "delivered", "attempts": 1},
		}},
		{"since, with the history", Redelivery{Since: at(150)}, Redelivered{3, 1}, []bson.M{
			{"_id": oplogID(700), "processed": false, "deliveries": nil, "collection": "c"},
			{"_id": "duplicate", "processed": true},
			{"_id": "pending", "redelivered_at": nil},
		}},
		{"from the history, for one receiver", Redelivery{IDs: []string{oplogID(800)}, Receiver: "chat"}, Redelivered{0, 1}, []bson.M{
			{"_id": oplogID(800), "processed": false, "deliveries.chat": nil, "deliveries.backend.state": "skipped", "deliveries.pager.state": "skipped"},
		}},
		{"what is pending", Redelivery{IDs: []string{"pending"}}, Redelivered{}, nil},
	} {
		reset()
		n, err := Redeliver(t.Context(), s.db, c.r, true)
		if err != nil || n != c.want || s.count(bson.M{"redelivered_at": bson.M{"$exists": true}}) != 0 {
			t.Errorf("%s: the dry run found %+v, %v, want %+v", c.name, n, err, c.want)
		}
		if n, err := Redeliver(t.Context(), s.db, c.r, false); err != nil || n != c.want {
			t.Errorf("%s: found %+v, %v, want %+v", c.name, n, err, c.want)
		}
		for _, want := range c.left {
			if s.count(want) != 1 {
				var doc bson.M
				s.must(s.queue.FindOne(t.Context(), bson.M{"_id": want["_id"]}).Decode(&doc))
				t.Errorf("%s: left %v, want %v", c.name, doc, want)
			}
		}
	}
	reset()
	if _, err := Redeliver(t.Context(), s.db, Redelivery{IDs: []string{oplogID(100), "nobody"}}, false); !errors.Is(err, ErrUnknownID) || s.count(bson.M{"redelivered_at": bson.M{"$exists": true}}) != 0 {
		t.Errorf("an unknown ID: %v", err)
	}
	var unknown *UnknownReceiverError
	if _, err := Redeliver(t.Context(), s.db, Redelivery{Rejected: true, Receiver: "mail"}, false); !errors.As(err, &unknown) {
		t.Errorf("an unknown receiver: %v", err)
	}
}
