package detector_test

import (
	"path/filepath"
	"slices"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/detector"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/schema"
	"github.com/ddltail/ddltail/internal/store"
)

// TestRewindUnlisted goes back from listings that lack some namespaces, and from one that
// lacks all views. What is missing in the end is unlisted, never absent, and what is not
// missing is right.
func TestRewindUnlisted(t *testing.T) {
	for _, folder := range corpora(t) {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			units, catalogs := moments(t, folder)
			d := detector.New(schema.Scope{Own: store.Collections("ddltail")})
			for from := 0; from < len(units); from += 7 {
				for hidden := range 5 {
					now := hide(catalogs[len(units)], hidden)
					lastKnown := catalogOf(catalogs[from])
					past := detector.NewRewind(d, now, lastKnown)
					for i := len(units) - 1; i >= from; i-- {
						past.Undo(units[i])
					}
					checkUnlisted(t, past.Listed(), catalogs[from])
				}
			}
		})
	}
}

// TestRewindUnlistedEntries goes back over entries on namespaces that could not be listed.
func TestRewindUnlistedEntries(t *testing.T) {
	create := `{"op": "c", "ns": "db.$cmd", "o": {"create": "a"}`
	rename := `{"op": "c", "ns": "db.$cmd", "o": {"renameCollection": "db.a", "to": "db.b"}`
	index := `{"op": "c", "ns": "db.$cmd", "o": {"createIndexes": "a", "v": 2, "key": {"x": 1}, "name": "x_1"}`
	view := `{"op": "i", "ns": "db.system.views", "o": {"_id": "db.a", "viewOn": "c", "pipeline": []}`
	modify := `{"op": "u", "ns": "db.system.views", "o": {"_id": "db.a", "viewOn": "c", "pipeline": []}, "o2": {"_id": "db.a"}`
	for _, c := range []struct{ entry, unlisted, want string }{
		{create, "a", ""},
		{index, "a", "a"},
		{rename, "b", "a"},
		{rename, "c", "c"},
		{view, "a", ""},
		{modify, "a", "a"},
	} {
		entry := c.entry + `, "ui": {"$binary": {"base64": "BAQEBAQEBAQEBAQEBAQEBA==", "subType": "04"}},
			"ts": {"$timestamp": {"t": 1900000000, "i": 1}}, "t": {"$numberLong": "1"}, "v": {"$numberLong": "2"}, "wall": {"$date": {"$numberLong": "1900000000000"}}}`
		var raw bson.Raw
		if err := bson.UnmarshalExtJSON([]byte(entry), true, &raw); err != nil {
			t.Fatal(err)
		}
		e, err := oplog.Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		now := schema.Listed{Unlisted: []schema.Unlisted{{Selection: schema.Selection{Namespace: schema.Namespace{Database: "db", Collection: c.unlisted}}}}}
		past := detector.NewRewind(detector.New(schema.Scope{}), now, &schema.Catalog{})
		past.Undo(oplog.Unit{OpTime: e.OpTime, Wall: e.Wall, Operations: []oplog.Entry{e}})
		var got string
		for _, u := range past.Listed().Unlisted {
			got += u.Namespace.Collection
		}
		if got != c.want || len(past.Listed().Versions) != 0 {
			t.Errorf("%s: unlisted %q, want %q; listed %v", c.entry, got, c.want, past.Listed().Versions)
		}
	}
}

func catalogOf(versions []schema.Version) *schema.Catalog {
	var c schema.Catalog
	for _, v := range versions {
		c.Set(v)
	}
	return &c
}

// hide makes every fourth namespace unlisted; those with a remainder of 4, all views.
func hide(versions []schema.Version, remainder int) schema.Listed {
	var l schema.Listed
	for i, v := range versions {
		s := schema.Selection{Namespace: v.Namespace}
		if remainder == 4 {
			s = schema.Selection{Namespace: schema.Namespace{Database: v.Namespace.Database}, Views: true}
		}
		if i%4 == remainder || remainder == 4 && v.Definition.Kind == schema.KindView {
			l.Unlisted = append(l.Unlisted, schema.Unlisted{Selection: s, UUID: v.Definition.UUID})
			continue
		}
		l.Versions = append(l.Versions, v)
	}
	return l
}

func checkUnlisted(t *testing.T, got schema.Listed, want []schema.Version) {
	t.Helper()
	var listed []schema.Version
	for _, v := range want {
		if slices.ContainsFunc(got.Unlisted, func(u schema.Unlisted) bool { return u.Covers(v.Namespace, v.Definition.Kind) }) {
			continue
		}
		listed = append(listed, v)
	}
	there := slices.DeleteFunc(got.Versions, func(v schema.Version) bool {
		return slices.ContainsFunc(got.Unlisted, func(u schema.Unlisted) bool { return u.Covers(v.Namespace, v.Definition.Kind) })
	})
	sameCatalog(t, there, listed)
	if t.Failed() {
		t.FailNow()
	}
}
