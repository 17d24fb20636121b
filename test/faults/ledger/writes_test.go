package ledger

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// TestWrites decodes entries of all server versions: updates have a $set up to 4.4, and a diff from
// 5.0 on.
func TestWrites(t *testing.T) {
	at := OpTime{TS: bson.Timestamp{T: 7, I: 2}, Term: 3}
	for _, c := range []struct {
		name, entry string
		want        Write
	}{
		{"insert of a checkpoint", `{"op": "i", "ns": "d.schema_checkpoints",
			"o": {"_id": "rs0:default", "optime": {"ts": {"$timestamp": {"t": 7, "i": 2}}, "t": 3}, "inclusive": true}}`,
			Write{Sink: Checkpoints, Action: Advance, ID: "rs0:default", Position: at, Inclusive: true}},
		{"$set of the whole position", `{"op": "u", "ns": "d.schema_checkpoints", "o2": {"_id": "rs0:default"},
			"o": {"$v": 1, "$set": {"optime": {"ts": {"$timestamp": {"t": 7, "i": 2}}, "t": 3}}}}`,
			Write{Sink: Checkpoints, Action: Advance, ID: "rs0:default", Position: at}},
		{"$set of its parts", `{"op": "u", "ns": "d.schema_checkpoints", "o2": {"_id": "rs0:default"},
			"o": {"$v": 1, "$set": {"optime.ts": {"$timestamp": {"t": 7, "i": 2}}, "optime.t": 3}}}`,
			Write{Sink: Checkpoints, Action: Advance, ID: "rs0:default", Position: at}},
		{"diff of the whole position", `{"op": "u", "ns": "d.schema_checkpoints", "o2": {"_id": "rs0:default"},
			"o": {"$v": 2, "diff": {"u": {"optime": {"ts": {"$timestamp": {"t": 7, "i": 2}}, "t": 3}}}}}`,
			Write{Sink: Checkpoints, Action: Advance, ID: "rs0:default", Position: at}},
		{"diff of its part", `{"op": "u", "ns": "d.schema_checkpoints", "o2": {"_id": "rs0:default"},
			"o": {"$v": 2, "diff": {"soptime": {"u": {"ts": {"$timestamp": {"t": 7, "i": 2}}}}}}}`,
			Write{Sink: Checkpoints, Action: Advance, ID: "rs0:default", Position: OpTime{TS: at.TS}}},
		{"a checkpoint that does not move", `{"op": "u", "ns": "d.schema_checkpoints", "o2": {"_id": "rs0:default"},
			"o": {"$v": 2, "diff": {"u": {"queue": true}}}}`, Write{}},
		{"processed, $set", `{"op": "u", "ns": "d.schema_notifications", "o2": {"_id": "x"}, "o": {"$v": 1, "$set": {"processed": true}}}`,
			Write{Sink: Queue, Action: Process, ID: "x"}},
		{"processed, diff", `{"op": "u", "ns": "d.schema_notifications", "o2": {"_id": "x"},
			"o": {"$v": 2, "diff": {"u": {"processed": true}, "i": {"processed_at": 1}}}}`,
			Write{Sink: Queue, Action: Process, ID: "x"}},
		{"claimed", `{"op": "u", "ns": "d.schema_notifications", "o2": {"_id": "x"}, "o": {"$v": 2, "diff": {"i": {"claim": 1}}}}`, Write{}},
		{"removed", `{"op": "d", "ns": "d.schema_notifications", "o": {"_id": "x"}}`, Write{Sink: Queue, Action: Remove, ID: "x"}},
		{"version", `{"op": "i", "ns": "d.schema_catalog",
			"o": {"_id": "x", "optime": {"ts": {"$timestamp": {"t": 7, "i": 2}}, "t": 3}, "listed": true}}`,
			Write{Sink: Catalog, Action: Insert, ID: "x", Position: at, Listed: true}},
		{"version in one entry with others", `{"op": "c", "ns": "admin.$cmd", "o": {"applyOps": [
			{"op": "i", "ns": "d.schema_catalog", "o": {"_id": "x", "optime": {"ts": {"$timestamp": {"t": 7, "i": 2}}, "t": 3}}}]}}`,
			Write{Sink: Catalog, Action: Insert, ID: "x", Position: at}},
		{"dropped", `{"op": "c", "ns": "d.$cmd", "o": {"drop": "schema_history"}}`, Write{Sink: History, Action: Drop}},
		{"renamed away", `{"op": "c", "ns": "d.$cmd", "o": {"renameCollection": "d.schema_history", "to": "d.old"}}`, Write{Sink: History, Action: Drop}},
		{"init document", `{"op": "i", "ns": "d.schema_notifications", "o": {"_id": "init", "type": "init"}}`, Write{}},
		{"another collection", `{"op": "i", "ns": "d.schema_actors", "o": {"_id": "x"}}`, Write{}},
		{"another database", `{"op": "i", "ns": "e.schema_catalog", "o": {"_id": "x"}}`, Write{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var raw bson.Raw
			if err := bson.UnmarshalExtJSON([]byte(c.entry), false, &raw); err != nil {
				t.Fatal(err)
			}
			got, err := writesOf(raw, "d")
			if err != nil {
				t.Fatal(err)
			}
			if len(got) == 0 {
				got = []Write{{}}
			}
			if len(got) != 1 || got[0].String() != c.want.String() {
				t.Errorf("got  %v\nwant %v", got, c.want)
			}
		})
	}
}
