package mongosh_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ddltail/ddltail/internal/mongosh"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// testViews makes, changes and drops views.
func (r real) testViews(t *testing.T) {
	definitions := map[string]string{
		"plain":    `{"viewOn": "payments", "pipeline": []}`,
		"matching": `{"viewOn": "it's", "pipeline": [{"$match": {"b": {"$numberDouble": "1"}, "0": {"$regularExpression": {"pattern": "^a/", "options": "i"}}}}], "collation": {"locale": "fr"}}`,
		"'\n__":    `{"viewOn": "a.b", "pipeline": [{"$addFields": {"__proto__": 1, "x": {"$literal": {"2": 1, "1": 1}}}}]}`,
	}
	changed := fromJSON(t, `{"viewOn": "other", "pipeline": [{"$project": {"b": 1, "a": 1}}]}`)
	var create, modify, back, drop []string
	for name, text := range definitions {
		definition := fromJSON(t, text)
		r.command(t, "views", prepend("create", name, definition))
		create = append(create, mongosh.CreateView("again", name, r.list(t, "views")[name].options))
		modify = append(modify, mongosh.ModifyView("again", name, changed))
		back = append(back, mongosh.ModifyView("again", name, definition))
		drop = append(drop, mongosh.UndoCreateView("again", name), mongosh.CreateCollection("again", name, nil), mongosh.UndoCreateView("again", name))
	}
	want := normal(r.list(t, "views"))
	check := func(what string) {
		if got := normal(r.list(t, "again")); got != want {
			t.Errorf("%s\n%s", what, difference(got, want))
		}
	}
	r.mustEach(t, create)
	check("created again")
	r.mustEach(t, modify)
	if got := normal(r.list(t, "again")); strings.Count(got, `viewOn: "other"`) != len(definitions) {
		t.Errorf("modified: %s", got)
	}
	r.mustEach(t, back)
	check("modified back")
	r.mustEach(t, drop)
	for name, c := range r.list(t, "again") {
		if _, err := c.options.LookupErr("viewOn"); err == nil {
			t.Errorf("%q is still a view", name)
		}
	}
	if got := r.names(t, "again"); len(got) != len(definitions)+1 { // and system.views
		t.Errorf("a collection with a view's former name must stay, left are %q", got)
	}
	r.dropAll(t, "views", "again")
}

// testRenames renames onto a collection, makes one capped and drops a database.
func (r real) testRenames(t *testing.T) {
	for _, name := range []string{"from", "onto", "c"} {
		if _, err := r.client.Database("it's").Collection(name).InsertOne(t.Context(), bson.D{{Key: "was", Value: name}}); err != nil {
			t.Fatal(err)
		}
	}
	r.mustEach(t, []string{
		mongosh.RenameCollectionOver("it's", "from", "onto"),
		mongosh.ConvertToCapped("it's", "c", fromJSON(t, `{"capped": true, "size": {"$numberLong": "4096"}}`)),
	})
	if got := r.names(t, "it's"); !slices.Equal(got, []string{"c", "onto"}) {
		t.Errorf("left are %q", got)
	}
	if got := r.list(t, "it's")["c"].options.String(); !strings.Contains(got, "4096") {
		t.Errorf("options of the capped collection: %s", got)
	}
	doc, err := r.client.Database("it's").Collection("onto").FindOne(t.Context(), bson.D{}).Raw()
	if err != nil || doc.Lookup("was").StringValue() != "from" {
		t.Errorf("renamed: %v, %v", doc, err)
	}
	r.mustEach(t, []string{mongosh.DropDatabase("it's")})
	if got := r.names(t, "it's"); len(got) != 0 {
		t.Errorf("left are %q", got)
	}
}

// testUndoCreate takes new collections back, but none that has a document.
func (r real) testUndoCreate(t *testing.T) {
	undo := make(map[string]string)
	for name, options := range collectionCases {
		if !r.understands(t, "undo", prepend("create", name, fromJSON(t, options))) {
			continue
		}
		undo[name] = mongosh.UndoCreateCollection("undo", name, fromJSON(t, options))
	}
	for name := range undo {
		if none := name == "encrypted" || strings.HasPrefix(name, "series"); none != (undo[name] == "") {
			t.Errorf("%s is undone by %q", name, undo[name])
		}
	}
	if _, err := r.client.Database("undo").Collection("plain").InsertOne(t.Context(), bson.D{}); err != nil {
		t.Fatal(err)
	}
	left := []string{"plain"}
	for name, statement := range undo {
		if statement == "" {
			left = append(left, name)
		}
	}
	r.mustEach(t, slices.DeleteFunc(slices.Collect(maps.Values(undo)), isEmpty))
	for name := range r.list(t, "undo") {
		if !slices.Contains(left, name) {
			t.Errorf("%s is still there", name)
		}
	}
	if got, _ := r.client.Database("undo").Collection("plain").CountDocuments(t.Context(), bson.D{}); got != 1 {
		t.Errorf("the collection with a document has %d", got)
	}
	r.dropAll(t, "undo")
}

func isEmpty(s string) bool { return s == "" }

// testUndoBesideTransaction has a transaction insert the first document while
// the statement runs: it must stay.
func (r real) testUndoBesideTransaction(t *testing.T) {
	r.command(t, "undo", bson.D{{Key: "create", Value: "c"}})
	session, err := r.client.StartSession()
	if err != nil {
		t.Fatal(err)
	}
	defer session.EndSession(t.Context())
	if err := session.StartTransaction(); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	coll := r.client.Database("undo").Collection("c")
	inside := mongo.NewSessionContext(ctx, session)
	if _, err := coll.InsertOne(inside, bson.D{{Key: "_id", Value: 1}}); err != nil {
		t.Fatal(err)
	}
	committed := make(chan error)
	go func() {
		time.Sleep(2 * time.Second) // long enough for mongosh to look and wait for the lock
		committed <- session.CommitTransaction(ctx)
	}()
	r.mustEach(t, []string{mongosh.UndoCreateCollection("undo", "c", nil)})
	if err := <-committed; err != nil {
		t.Fatal(err)
	}
	if got, _ := coll.CountDocuments(ctx, bson.D{}); got != 1 {
		t.Errorf("the committed document is gone: %d, collections %q", got, r.names(t, "undo"))
	}
	r.dropAll(t, "undo")
}
