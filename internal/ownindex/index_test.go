package ownindex

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// TestIn compares wanted indexes with listed ones, as ddltail, the driver, the shell and teams' scripts made them.
func TestIn(t *testing.T) {
	plain := Index{Keys: bson.D{{Key: "timestamp", Value: 1}}}
	sparse := Index{Keys: bson.D{{Key: "processed", Value: 1}}, Sparse: true}
	queue := Index{
		Name: "one_queue_per_source", Keys: bson.D{{Key: "source", Value: 1}}, Unique: true,
		Partial: bson.D{{Key: "queue", Value: true}},
	}
	desc := Index{Keys: bson.D{{Key: "ns", Value: 1}, {Key: "optime.ts", Value: -1}}}
	for _, c := range []struct {
		want Index
		have string
		in   bool
	}{
		{plain, `{"key": {"timestamp": 1}, "name": "timestamp_1"}`, true},
		{plain, `{"key": {"timestamp": 1.0}, "name": "by_time"}`, true},
		{plain, `{"key": {"timestamp": {"$numberLong": "1"}}, "name": "ttl", "expireAfterSeconds": 3600}`, true},
		{plain, `{"key": {"timestamp": -1}, "name": "timestamp_-1"}`, false},
		{plain, `{"key": {"timestamp": "hashed"}, "name": "timestamp_hashed"}`, false},
		{plain, `{"key": {"timestamp": 1, "_id": 1}, "name": "both"}`, false},
		{sparse, `{"key": {"processed": 1}, "name": "processed_1"}`, true},
		{desc, `{"key": {"ns": 1, "optime.ts": -1}, "name": "ns_1_optime.ts_-1"}`, true},
		{desc, `{"key": {"optime.ts": -1, "ns": 1}, "name": "other"}`, false},
		{queue, `{"key": {"source": 1}, "name": "x", "unique": true, "partialFilterExpression": {"queue": true}}`, true},
		{queue, `{"key": {"source": 1}, "name": "x", "partialFilterExpression": {"queue": true}}`, false},
		{queue, `{"key": {"source": 1}, "name": "x", "unique": true}`, false},
		{queue, `{"key": {"source": 1}, "name": "x"}`, false},
	} {
		var spec bson.Raw
		if err := bson.UnmarshalExtJSON([]byte(c.have), false, &spec); err != nil {
			t.Fatal(err)
		}
		if got := c.want.in([]bson.Raw{spec}); got != c.in {
			t.Errorf("%s in %s: %t, want %t", c.want.name(), c.have, got, c.in)
		}
	}
}

// TestName makes the names that earlier releases gave them.
func TestName(t *testing.T) {
	index := Index{Keys: bson.D{{Key: "source", Value: 1}, {Key: "optime.ts", Value: -1}, {Key: "_id", Value: 1}}}
	if got := index.name(); got != "source_1_optime.ts_-1__id_1" {
		t.Errorf("got %q", got)
	}
}
