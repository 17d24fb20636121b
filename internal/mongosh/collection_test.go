package mongosh_test

import (
	"testing"

	"github.com/ddltail/ddltail/internal/mongosh"
	"go.mongodb.org/mongo-driver/v2/bson"
)

func TestCreateCollection(t *testing.T) {
	const long = "db.getSiblingDB('b').createCollection('c'"
	cases := map[string]struct{ options, want string }{
		"none":   {``, long + ")"},
		"empty":  {`{}`, long + ")"},
		"noise":  {`{"temp": true, "autoIndexId": true, "idIndex": {"v": 2, "key": {"_id": 1}, "name": "_id_"}}`, long + ")"},
		"capped": {`{"capped": true, "size": {"$numberLong": "4096"}, "max": 10.0}`, long + ", {capped: true, size: 4096, max: 10})"},
		"validator and collation": {`{"validator": {"$jsonSchema": {"required": ["x"], "minProperties": {"$numberLong": "1"}}},
			"validationLevel": "moderate", ` + frenchCollation + `}`,
			long + ", {validator: {$jsonSchema: {required: ['x'], minProperties: Long('1')}}, validationLevel: 'moderate', collation: {locale: 'fr'}})"},
		"time series": {`{"validator": {"$jsonSchema": {}}, "clusteredIndex": true, "expireAfterSeconds": {"$numberLong": "3600"},
			"timeseries": {"timeField": "t", "metaField": "m", "granularity": "hours", "bucketMaxSpanSeconds": 2592000}}`,
			long + ", {expireAfterSeconds: 3600, timeseries: {timeField: 't', metaField: 'm', granularity: 'hours'}})"},
		"time series with a span of its own": {`{"timeseries": {"timeField": "t", "bucketMaxSpanSeconds": 60, "bucketRoundingSeconds": 60}}`,
			long + ", {timeseries: {timeField: 't', bucketMaxSpanSeconds: 60, bucketRoundingSeconds: 60}})"},
		"clustered": {`{"clusteredIndex": {"v": 2, "key": {"_id": {"$numberDouble": "1"}}, "name": "cl", "unique": true}}`,
			long + ", {clusteredIndex: {key: {_id: 1}, name: 'cl', unique: true}})"},
		"clustered and capped": {`{"capped": true, "size": 8192, "max": 5, "clusteredIndex": {"key": {"_id": 1}, "unique": true}}`,
			"db.getSiblingDB('b').runCommand({create: 'c', clusteredIndex: {key: {_id: 1}, unique: true}}); " +
				"db.getSiblingDB('b').getCollection('c').convertToCapped(8192); " +
				"db.getSiblingDB('b').runCommand({collMod: 'c', cappedMax: 5})"},
		"the server's own storage notes": {`{"storageEngine": {"wiredTiger": {"configString": "app_metadata=(x=true)"}}}`, long + ")"},
		"a user's storage options": {`{"storageEngine": {"wiredTiger": {"configString": "block_compressor=zlib"}}}`,
			long + ", {storageEngine: {wiredTiger: {configString: 'block_compressor=zlib'}}})"},
		"encrypted": {`{"encryptedFields": {"escCollection": "e", "fields": []}}`,
			"db.getSiblingDB('b').runCommand({create: 'c', encryptedFields: {escCollection: 'e', fields: []}})"},
		"an option of tomorrow": {`{"newOption": 1}`, "db.getSiblingDB('b').runCommand({create: 'c', newOption: 1})"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := mongosh.CreateCollection("b", "c", fromJSON(t, c.options)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestDrop(t *testing.T) {
	encrypted := fromJSON(t, `{"encryptedFields": {"fields": []}}`)
	cases := []struct{ got, want string }{
		{mongosh.DropCollection("b", "payments", nil), "db.getSiblingDB('b').getCollection('payments').drop()"},
		{mongosh.DropCollection("b", "x$y", nil), "db.getSiblingDB('b').runCommand({drop: 'x$y'})"},
		{mongosh.DropCollection("b", "enc", encrypted), "db.getSiblingDB('b').runCommand({drop: 'enc'})"},
		{mongosh.DropCollection("b", "new\nline", nil), `db.getSiblingDB('b').getCollection('new\nline').drop()`},
		{mongosh.DropCollection("b", "\xff", nil), ""},
		{mongosh.DropIndex("b", "c", "i"), "db.getSiblingDB('b').getCollection('c').dropIndex('i')"},
		{mongosh.DropIndex("b", "x$y", "i"), "db.getSiblingDB('b').runCommand({dropIndexes: 'x$y', index: 'i'})"},
		{mongosh.DropIndex("b", "c", "*"), ""},
		{mongosh.DropIndex("b", "c", ""), ""},
	}
	for _, c := range cases {
		if c.got != c.want {
			t.Errorf("got  %s\nwant %s", c.got, c.want)
		}
	}
}

func TestMalformedGivesNoStatement(t *testing.T) {
	broken := bson.Raw{5, 0, 0, 0, 1}
	for _, got := range []string{
		mongosh.CreateCollection("b", "c", broken),
		mongosh.CreateIndex("b", "c", broken),
		mongosh.CreateIndex("b", "c", nil),
		mongosh.ShortCreateIndex("c", bson.Raw{1}),
	} {
		if got != "" {
			t.Errorf("got %s, want none", got)
		}
	}
}
