package mongosh_test

import (
	"testing"

	"github.com/ddltail/ddltail/internal/mongosh"
	"go.mongodb.org/mongo-driver/v2/bson"
)

func TestRename(t *testing.T) {
	cases := []struct{ got, want string }{
		{mongosh.RenameCollection("b", "c", "it's"), `db.getSiblingDB('b').getCollection('c').renameCollection('it\'s')`},
		{mongosh.RenameCollectionOver("b", "c", "d"), "db.getSiblingDB('b').getCollection('c').renameCollection('d', true)"},
		{mongosh.RenameCollection("b", "c", "x$"), "db.adminCommand({renameCollection: 'b.c', to: 'b.x$'})"},
		{mongosh.RenameCollectionOver("b", "x$", "c"), "db.adminCommand({renameCollection: 'b.x$', to: 'b.c', dropTarget: true})"},
		{mongosh.RenameCollection("b", "c", ""), ""},
		{mongosh.RenameCollection("b", "c", "\xff"), ""},
		{mongosh.DropDatabase("b'"), `db.getSiblingDB('b\'').dropDatabase()`},
		{mongosh.DropDatabase(""), ""},
	}
	for _, c := range cases {
		if c.got != c.want {
			t.Errorf("got  %s\nwant %s", c.got, c.want)
		}
	}
}

func TestViews(t *testing.T) {
	definition := fromJSON(t, `{"_id": "b.v", "viewOn": "c", "pipeline": [{"$match": {"a": 1}}], `+frenchCollation+`}`)
	bare := fromJSON(t, `{"viewOn": "c"}`)
	cases := []struct{ got, want string }{
		{mongosh.CreateView("b", "v", definition), "db.getSiblingDB('b').createView('v', 'c', [{$match: {a: 1}}], {collation: {locale: 'fr'}})"},
		{mongosh.CreateView("b", "v", bare), "db.getSiblingDB('b').createView('v', 'c', [])"},
		{mongosh.ModifyView("b", "v", definition), "db.getSiblingDB('b').runCommand({collMod: 'v', viewOn: 'c', pipeline: [{$match: {a: 1}}]})"},
		{mongosh.DropView("b", "v"), "db.getSiblingDB('b').getCollection('v').drop()"},
		{mongosh.UndoCreateView("b", "v"), "db.getSiblingDB('b').getCollectionInfos({name: 'v', type: 'view'}).length === 1 && db.getSiblingDB('b').getCollection('v').drop()"},
		{mongosh.UndoCreateView("b", ""), ""},
		{mongosh.CreateView("b", "v", fromJSON(t, `{"pipeline": []}`)), ""},
		{mongosh.ModifyView("b", "v", nil), ""},
	}
	for _, c := range cases {
		if c.got != c.want {
			t.Errorf("got  %s\nwant %s", c.got, c.want)
		}
	}
}

func TestModifyCollection(t *testing.T) {
	cases := map[string]string{
		`{"collMod": "c", "index": {"name": "i", "expireAfterSeconds": {"$numberLong": "5"}}}`: "{collMod: 'c', index: {name: 'i', expireAfterSeconds: 5}}",
		`{"collMod": "c", "validator": {"a": {"$numberLong": "5"}}}`:                           "{collMod: 'c', validator: {a: Long('5')}}",
		`{"collMod": "system.buckets.c", "timeseries": {"granularity": "hours"}}`:              "{collMod: 'c', timeseries: {granularity: 'hours'}}",
		`{"collMod": "c"}`: "",
		`{"collMod": "c", "recordIdsReplicated": false}`: "",
	}
	for changes, want := range cases {
		if want != "" {
			want = "db.getSiblingDB('b').runCommand(" + want + ")"
		}
		if got := mongosh.ModifyCollection("b", "c", fromJSON(t, changes)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	capped := fromJSON(t, `{"capped": true, "size": {"$numberDouble": "5120"}}`)
	if got, want := mongosh.ConvertToCapped("b", "c", capped), "db.getSiblingDB('b').getCollection('c').convertToCapped(5120)"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestUndoModifyCollection(t *testing.T) {
	const none = "no statement"
	cases := map[string]struct{ changes, options, index, want string }{
		"new validator":         {`{"validator": {"a": 1}}`, `{}`, ``, "{collMod: 'c', validator: {}}"},
		"unknown state":         {`{"validator": {"a": 1}}`, ``, ``, none},
		"unknown parameter":     {`{"tomorrow": 1}`, `{}`, ``, none},
		"part of it":            {`{"validator": {}, "timeseries": {}}`, `{}`, ``, none},
		"hidden":                {`{"index": {"name": "i", "hidden": true}}`, ``, `{"hidden": false}`, "{collMod: 'c', index: {name: 'i', hidden: false}}"},
		"unknown index":         {`{"index": {"name": "i", "hidden": true}}`, `{}`, ``, none},
		"longer expiry":         {`{"index": {"name": "i", "expireAfterSeconds": 9}}`, ``, `{"expireAfterSeconds": 5}`, none},
		"shorter expiry":        {`{"index": {"name": "i", "expireAfterSeconds": 5}}`, ``, `{"expireAfterSeconds": {"$numberDouble": "9"}}`, "{collMod: 'c', index: {name: 'i', expireAfterSeconds: 9}}"},
		"new expiry":            {`{"expireAfterSeconds": 5}`, `{}`, ``, "{collMod: 'c', expireAfterSeconds: 'off'}"},
		"expiry no more":        {`{"expireAfterSeconds": "off"}`, `{"expireAfterSeconds": 5}`, ``, none},
		"expiry, a Decimal128":  {`{"expireAfterSeconds": {"$numberDecimal": "1"}}`, `{"expireAfterSeconds": 5.5}`, ``, "{collMod: 'c', expireAfterSeconds: 5}"},
		"expiry, unreadable":    {`{"expireAfterSeconds": {"a": 1}}`, `{"expireAfterSeconds": 5}`, ``, none},
		"larger":                {`{"cappedSize": 9}`, `{"size": 5}`, ``, none},
		"smaller":               {`{"cappedSize": 5}`, `{"size": 9}`, ``, "{collMod: 'c', cappedSize: 9}"},
		"limit lifted":          {`{"cappedMax": 0}`, `{"max": 9}`, ``, none},
		"pre-images, as of 5.0": {`{"recordPreImages": true}`, `{}`, ``, "{collMod: 'c', recordPreImages: false}"},
	}
	for name, c := range cases {
		m := mongosh.Modification{Changes: fromJSON(t, c.changes), Options: fromJSON(t, c.options), Index: fromJSON(t, c.index)}
		want := "db.getSiblingDB('b').runCommand(" + c.want + ")"
		if c.want == none {
			want = ""
		}
		if got := mongosh.UndoModifyCollection("b", "c", m); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, want)
		}
	}
}

func TestUndo(t *testing.T) {
	ttl := fromJSON(t, `{"key": {"at": 1}, "name": "i", "expireAfterSeconds": 5}`)
	if got := mongosh.UndoDropIndex("b", "c", ttl); got != "" {
		t.Errorf("an index that expires documents comes back by %s", got)
	}
	plain := fromJSON(t, `{"key": {"at": 1}, "name": "i"}`)
	if got, want := mongosh.UndoDropIndex("b", "c", plain), mongosh.CreateIndex("b", "c", plain); got != want || got == "" {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, fixed := range []string{`{"timeseries": {}}`, `{"encryptedFields": {}}`, `{"viewOn": "x"}`} {
		if got := mongosh.UndoCreateCollection("b", "c", fromJSON(t, fixed)); got != "" {
			t.Errorf("%s: %s", fixed, got)
		}
	}
	definition := mongosh.Definition{
		Options: fromJSON(t, `{`+frenchCollation+`}`),
		Indexes: []bson.Raw{fromJSON(t, `{"key": {"_id": 1}, "name": "_id_"}`), plain},
	}
	want := "db.getSiblingDB('b').getCollection('c').drop(); db.getSiblingDB('b').createCollection('c', {collation: {locale: 'fr'}}); " +
		"db.getSiblingDB('b').getCollection('c').createIndex({at: 1}, {name: 'i', collation: {locale: 'simple'}})"
	if got := mongosh.ReplaceCollection("b", "c", definition); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
