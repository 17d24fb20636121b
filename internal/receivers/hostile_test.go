package receivers

import (
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// hostile are names that no target may interpret: as markup, a mention, a template, an
// end of line, a direction of text, or a command to a terminal.
func hostile() []string {
	return []string{
		"<script>alert(1)</script>",
		"*bold*|<!channel>",
		"{{.}} {{template \"x\"}}",
		"two\nlines\r\n\ttab",
		strings.Repeat("long", 50),
		"\u202egnirts\u202c مرحبا",
		"\x1b[2J\x1b]0;title\x07",
		`"quotes" \ and 'quotes' \u0022`,
		"[link](https://example.com) @everyone <at>all</at>",
		"&lt;b&gt; &amp; <b>",
		"_it_ ~no~ `code` > quote\u2028",
		"\xff\xfe not UTF-8",
	}
}

// raw parses Extended JSON.
func raw(t testing.TB, text string) bson.Raw {
	t.Helper()
	var doc bson.Raw
	if err := bson.UnmarshalExtJSON([]byte(text), false, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// named returns the notification of a dropped collection with a name in every place where
// a document can hold one.
func named(t testing.TB, name string) Notification {
	t.Helper()
	doc, err := bson.Marshal(bson.D{
		{Key: "_id", Value: "rs0:1795479993:0000000001:000000"},
		{Key: "operation", Value: "DROP_COLLECTION"}, {Key: "collection", Value: name}, {Key: "operation_statement", Value: "DROP COLLECTION " + name},
		{Key: "timestamp", Value: 1795479993.5}, {Key: "database", Value: name}, {Key: "ns", Value: name + "." + name}, {Key: "risk", Value: "destructive"},
		{Key: "mongosh", Value: "db.getSiblingDB('x').getCollection('" + name + "').drop()"}, {Key: "undo", Value: name},
		{Key: "before", Value: bson.D{{Key: "validator", Value: bson.D{{Key: "x", Value: name}}}}},
		{Key: "after", Value: bson.D{{Key: "x", Value: name}}}, {Key: "replica_set", Value: name}, {Key: "source", Value: "oplog"},
		{Key: "actor", Value: bson.D{{Key: "user", Value: name}, {Key: "app", Value: name}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return Notification{ID: "id", Document: doc}
}
