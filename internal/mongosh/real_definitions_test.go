package mongosh_test

import (
	"strings"
	"testing"

	"github.com/ddltail/ddltail/internal/mongosh"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// What collections are made with, in Extended JSON by name.
var collectionCases = map[string]string{
	"plain":        `{}`,
	"capped":       `{"capped": true, "size": {"$numberDouble": "5000"}, "max": {"$numberLong": "7"}}`,
	"large":        `{"capped": true, "size": {"$numberLong": "5000000000"}}`,
	"unlimited":    `{"capped": true, "size": 4096, "max": 0}`,
	"validated":    `{"validator": {"b": {"$type": "int"}, "0": {"$in": [{"$numberDouble": "1"}, {"$numberLong": "2"}]}, "__proto__": 1, "a": 1, "a": 2}, "validationAction": "warn"}`,
	"schema":       `{"validator": {"$jsonSchema": {"required": ["x"], "properties": {"n": {"minimum": {"$numberDouble": "0"}, "pattern": "^[a-z]'\"\\\\$"}}}}, "validationLevel": "moderate"}`,
	"expr":         `{"validator": {"$expr": {"$gt": ["$a", {"$literal": {"2": 1, "1": {"$date": "2020-01-01T00:00:00Z"}}}]}}}`,
	"french":       `{"collation": {"locale": "fr"}}`,
	"canadian":     `{"collation": {"locale": "fr_CA", "backwards": false, "strength": 2}}`,
	"canadian2":    `{"collation": {"locale": "fr_CA"}}`,
	"searching":    `{"collation": {"locale": "fr_CA@collation=search", "normalization": false}}`,
	"odd":          `{"collation": {"locale": "en", "caseLevel": true, "caseFirst": "upper", "numericOrdering": true, "alternate": "shifted", "maxVariable": "space", "normalization": true, "backwards": true}}`,
	"clustered":    `{"clusteredIndex": {"key": {"_id": 1}, "unique": true}, "expireAfterSeconds": {"$numberLong": "3600"}}`,
	"clustered2":   `{"clusteredIndex": {"key": {"_id": 1}, "unique": true, "name": "cl"}}`,
	"images":       `{"changeStreamPreAndPostImages": {"enabled": true}}`,
	"storage":      `{"storageEngine": {"wiredTiger": {"configString": "block_compressor=zlib"}}}`,
	"defaults":     `{"indexOptionDefaults": {"storageEngine": {"wiredTiger": {"configString": "block_compressor=zlib"}}}}`,
	"encrypted":    `{"encryptedFields": {"fields": [{"path": "ssn", "bsonType": "string", "keyId": {"$binary": {"base64": "MDAwMDAwMDAwMDAwMDAwMA==", "subType": "04"}}}]}}`,
	"series":       `{"timeseries": {"timeField": "t"}}`,
	"series hours": `{"timeseries": {"timeField": "t", "metaField": "'m\"", "granularity": "hours"}, "expireAfterSeconds": 86400, "collation": {"locale": "de"}}`,
}

// Indexes made on the collection "plain", and those on "french".
var indexCases = []string{
	`{"key": {"amount": 1}, "name": "amount_idx"}`,
	`{"key": {"a": {"$numberDouble": "-1"}, "b": {"$numberLong": "1"}, "c": 1.5}, "name": "numbers", "unique": true}`,
	`{"key": {"b": 1, "0": 1}, "name": "order"}`,
	`{"key": {"__proto__": 1, "constructor": -1, "x'y\"": 1, "日本": 1}, "name": "'); db.dropDatabase(); //"}`,
	`{"key": {"p": 1}, "name": "partial", "partialFilterExpression": {"b": {"$gt": {"$numberDouble": "5"}}, "0": {"$exists": true}}}`,
	`{"key": {"s": 1}, "name": "sparse", "sparse": true, "background": true}`,
	`{"key": {"s2": 1}, "name": "not sparse", "sparse": false, "unique": false}`,
	`{"key": {"ttl": 1}, "name": "ttl", "expireAfterSeconds": {"$numberLong": "60"}}`,
	`{"key": {"h": 1}, "name": "hidden", "hidden": true}`,
	`{"key": {"v1": 1}, "name": "v1", "v": 1}`,
	`{"key": {"pu": 1}, "name": "prepared", "prepareUnique": true}`,
	`{"key": {"c": 1}, "name": "collated", "collation": {"locale": "de", "strength": 1}}`,
	`{"key": {"hash": "hashed", "x": 1}, "name": "hashed"}`,
	`{"key": {"g": "2d"}, "name": "2d", "bits": 20, "min": -10, "max": 10.5}`,
	`{"key": {"g": "2dsphere", "x": -1}, "name": "sphere"}`,
	`{"key": {"g2": "2dsphere"}, "name": "sphere 2", "2dsphereIndexVersion": 2, "finestIndexedLevel": 20}`,
	`{"key": {"$**": 1}, "name": "wild", "wildcardProjection": {"a": 1, "b.c": 1, "_id": 0}}`,
	`{"key": {"w.$**": 1}, "name": "wild below"}`,
	`{"key": {"st": 1}, "name": "stored", "storageEngine": {"wiredTiger": {"configString": "block_compressor=zlib"}}}`,
	`{"key": {"dl": 1}, "name": "no text", "default_language": "english", "language_override": "language", "2dsphereIndexVersion": 3}`,
	`{"key": {"z": 1, "t2": "text", "t1": "text", "__proto__": "text", "y": -1}, "name": "text", "weights": {"t1": 5, "9": 2, "10": 1}, "default_language": "none"}`,
}

var frenchIndexCases = []string{
	`{"key": {"a": 1}, "name": "french"}`,
	`{"key": {"b": 1}, "name": "simple", "collation": {"locale": "simple"}}`,
	`{"key": {"$**": "text"}, "name": "text", "collation": {"locale": "simple"}, "textIndexVersion": 2}`,
}

// testDefinitions makes collections and indexes by commands, reads from the
// catalog what the server made of them, and has mongosh make them again in
// another database: the catalogs must be equal.
func (r real) testDefinitions(t *testing.T) {
	for name, options := range collectionCases {
		r.understands(t, "original", prepend("create", name, fromJSON(t, options)))
	}
	for coll, specs := range map[string][]string{"plain": indexCases, "french": frenchIndexCases} {
		for _, spec := range specs {
			r.understands(t, "original", bson.D{{Key: "createIndexes", Value: coll}, {Key: "indexes", Value: bson.A{fromJSON(t, spec)}}})
		}
	}
	original := r.list(t, "original")
	r.mustEach(t, again("copy", original))
	if got, want := normal(r.list(t, "copy")), normal(original); got != want {
		t.Errorf("the copy differs\n%s", difference(got, want))
	}
	var replace []string
	for name, c := range original {
		replace = append(replace, mongosh.ReplaceCollection("copy", name, mongosh.Definition{Options: c.options, Indexes: c.indexes}))
	}
	r.mustEach(t, replace)
	if got, want := normal(r.list(t, "copy")), normal(original); got != want {
		t.Errorf("replaced, the copy differs\n%s", difference(got, want))
	}
	var drop []string
	for name, c := range original {
		drop = append(drop, mongosh.DropCollection("copy", name, c.options))
	}
	r.mustEach(t, drop)
	if left := r.list(t, "copy"); len(left) != 0 {
		t.Errorf("left after the drops: %v", left)
	}
	r.dropAll(t, "original", "copy")
}

// again are the statements that make the collections anew in another database.
func again(db string, all map[string]listed) []string {
	var statements []string
	for name, c := range all {
		statements = append(statements, mongosh.CreateCollection(db, name, c.options))
		_, err := c.options.LookupErr("collation")
		for _, spec := range c.indexes {
			if spec.Lookup("name").StringValue() == "_id_" || strings.Contains(spec.String(), `"clustered"`) {
				continue
			}
			if err == nil {
				spec = mongosh.WithSimpleCollation(spec)
			}
			statements = append(statements, mongosh.CreateIndex(db, name, spec))
		}
	}
	return statements
}

func difference(got, want string) string {
	gotLines, wantLines := strings.Split(got, "\n"), strings.Split(want, "\n")
	var b strings.Builder
	for i := range max(len(gotLines), len(wantLines)) {
		var g, w string
		if i < len(gotLines) {
			g = gotLines[i]
		}
		if i < len(wantLines) {
			w = wantLines[i]
		}
		if g != w {
			b.WriteString("got  " + g + "\nwant " + w + "\n")
		}
	}
	return b.String()
}
