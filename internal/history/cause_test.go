package history

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/schema"
)

// TestTracker: which of a list of changes made an object as it is.
func TestTracker(t *testing.T) {
	level := func(from, to string) bson.D {
		return bson.D{
			{Key: "before", Value: bson.D{{Key: "validationLevel", Value: from}}},
			{Key: "after", Value: bson.D{{Key: "validationLevel", Value: to}}},
		}
	}
	replaced := func(before, after bson.A) bson.D {
		return bson.D{
			{Key: "before", Value: bson.D{{Key: "options", Value: bson.D{}}, {Key: "indexes", Value: before}}},
			{Key: "after", Value: bson.D{{Key: "options", Value: bson.D{}}, {Key: "indexes", Value: after}}},
		}
	}
	spec := bson.D{{Key: "key", Value: bson.D{{Key: "x", Value: 1}}}, {Key: "name", Value: "x_1"}}
	created, dropped := change{"CREATE_COLLECTION", "", nil}, change{"DROP_COLLECTION", "", nil}
	index, noIndex, other := change{"CREATE_INDEX", "x_1", nil}, change{"DROP_INDEX", "x_1", nil}, change{"CREATE_INDEX", "y_1", nil}
	for _, c := range []struct {
		why     string
		index   string
		effect  Effect
		options []string
		changes []change
		want    string
	}{
		{"a collection", "", Created, nil, []change{created, other}, "0"},
		{"a collection created again", "", Created, nil, []change{created, dropped, created}, "2"},
		{"a collection replaced", "", Created, nil, []change{created, {"REPLACE_COLLECTION", "", replaced(nil, nil)}}, "0"},
		{"a collection dropped", "", Dropped, nil, []change{created, dropped}, "1"},
		{"an index", "x_1", Created, nil, []change{created, other, index}, "2"},
		{"an index dropped", "x_1", Dropped, nil, []change{created, index, noIndex, other}, "2"},
		{"an index dropped with its collection", "x_1", Dropped, nil, []change{created, index, dropped, created}, "2"},
		{"an index dropped before its collection", "x_1", Dropped, nil, []change{created, index, noIndex, dropped, created}, "2"},
		{"an index that was never created", "x_1", Dropped, nil, []change{created, other}, ""},
		{"an index lost in a replacement", "x_1", Dropped, nil, []change{created, index, {"REPLACE_COLLECTION", "", replaced(bson.A{spec}, bson.A{})}}, "2"},
		{"an index kept in a replacement", "x_1", Created, nil, []change{created, index, {"REPLACE_COLLECTION", "", replaced(bson.A{spec}, bson.A{spec})}}, "1"},
		{"an option", "", Altered, []string{"validationLevel"}, []change{created, {"MODIFY_COLLECTION", "", level("strict", "off")}}, "1"},
		{"another option", "", Altered, []string{"validator"}, []change{created, {"MODIFY_COLLECTION", "", level("strict", "off")}}, "0"},
		{"an index by collMod", "x_1", Altered, []string{"validationLevel"}, []change{index, {"MODIFY_COLLECTION", "x_1", level("strict", "off")}, {"MODIFY_COLLECTION", "", level("off", "strict")}}, "1"},
	} {
		t.Run(c.why, func(t *testing.T) {
			tr := tracker{Sought: Sought{Namespace: schema.Namespace{Database: "d", Collection: "c"}, Index: c.index, Effect: c.effect, Options: c.options}}
			for i, ch := range c.changes {
				raw, err := bson.Marshal(append(bson.D{}, ch.doc...))
				if err != nil {
					t.Fatal(err)
				}
				tr.step(Change{ID: string(rune('0' + i)), Operation: notification.Operation(ch.operation), Index: ch.index, Namespace: "d.c", Raw: raw})
			}
			if tr.found.ID != c.want || tr.ok != (c.want != "") {
				t.Errorf("got %q, want %q", tr.found.ID, c.want)
			}
		})
	}
}

type change struct {
	operation, index string
	doc              bson.D
}
