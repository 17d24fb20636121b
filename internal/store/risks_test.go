package store

import (
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

func TestQueueRisks(t *testing.T) {
	for _, c := range []struct{ options, index, want string }{
		{`{}`, `{"name": "timestamp_1", "key": {"timestamp": 1}}`, ""},
		{`{"capped": true, "size": 4096}`, `{"name": "_id_"}`, "capped"},
		{`{"expireAfterSeconds": 60, "clusteredIndex": {"unique": true}}`, `{"name": "_id_", "unique": true, "clustered": true}`, "expireAfterSeconds"},
		{`{"validator": {"operation": {"$type": "string"}}}`, `{"name": "_id_"}`, "validator"},
		{`{"validator": {}}`, `{"name": "_id_"}`, ""},
		{`{"collation": {"locale": "en"}}`, `{"name": "_id_"}`, ""},
		{`{}`, `{"name": "ttl", "expireAfterSeconds": 3600}`, "the index ttl removes"},
		{`{}`, `{"name": "once", "unique": true}`, "the unique index once"},
		{`{}`, `{"name": "soon", "prepareUnique": true}`, "the unique index soon"},
		{`{}`, `{"name": "lax", "unique": 1}`, "the unique index lax"},
	} {
		var options, index bson.Raw
		for text, into := range map[string]*bson.Raw{c.options: &options, c.index: &index} {
			if err := bson.UnmarshalExtJSON([]byte(text), false, into); err != nil {
				t.Fatal(err)
			}
		}
		got := strings.Join(queueRisks(options, []bson.Raw{index}), "; ")
		if !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%s %s: got %q, want %q", c.options, c.index, got, c.want)
		}
	}
}
