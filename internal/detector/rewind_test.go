package detector_test

import (
	"path/filepath"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/detector"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/schema"
	"github.com/ddltail/ddltail/internal/store"
)

// moments takes all entries of a folder of golden cases, and gives the units with the
// catalog before each, and the last one.
func moments(t *testing.T, folder string) ([]oplog.Unit, [][]schema.Version) {
	d := detector.New(schema.Scope{Own: store.Collections("ddltail")})
	known := &detector.State{}
	var units []oplog.Unit
	catalogs := [][]schema.Version{nil}
	for _, c := range readCases(t, folder) {
		for _, e := range c.entries {
			unit, err := oplog.Assemble(t.Context(), e, c)
			if err != nil {
				t.Fatal(err)
			}
			known.Apply(d.Detect(unit, known))
			units, catalogs = append(units, unit), append(catalogs, known.All())
		}
	}
	return units, catalogs
}

// TestRewind goes back over all real entries, from the last catalog to the first. What
// was dropped on the way is known from an earlier catalog, as it is behind a gap.
func TestRewind(t *testing.T) {
	for _, folder := range corpora(t) {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			units, catalogs := moments(t, folder)
			d := detector.New(schema.Scope{Own: store.Collections("ddltail")})
			for from := 0; from < len(units); from += 5 {
				lastKnown := &schema.Catalog{}
				for _, v := range catalogs[from] {
					lastKnown.Set(v)
				}
				past := detector.NewRewind(d, schema.Listed{Versions: catalogs[len(units)]}, lastKnown)
				for i := len(units) - 1; i >= from; i-- {
					past.Undo(units[i])
				}
				sameCatalog(t, past.Listed().Versions, catalogs[from])
				if t.Failed() {
					t.Fatalf("rewound to the entry %s", units[from].OpTime)
				}
			}
		})
	}
}

// TestDifferences infers the changes from each catalog to some later ones, and applies them.
func TestDifferences(t *testing.T) {
	for _, folder := range corpora(t) {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			_, catalogs := moments(t, folder)
			d := detector.New(schema.Scope{})
			for from := 0; from < len(catalogs); from += 6 {
				for to := from; to < len(catalogs); to += 11 {
					changes := d.Differences(catalogs[from], catalogs[to])
					got := walk(t, catalogs[from], changes)
					sameCatalog(t, got, visible(catalogs[to]))
					if from == to && len(changes) > 0 {
						t.Errorf("a catalog differs from itself: %+v", changes)
					}
					if t.Failed() {
						t.Fatalf("from moment %d to %d: %+v", from, to, changes)
					}
				}
			}
		})
	}
}

func corpora(t *testing.T) []string {
	folders, err := filepath.Glob("testdata/corpus/*")
	if err != nil || len(folders) == 0 {
		t.Fatalf("no corpus: %v", err)
	}
	return folders
}

func visible(versions []schema.Version) []schema.Version {
	var out []schema.Version
	for _, v := range versions {
		if !v.Definition.Temporary {
			out = append(out, v)
		}
	}
	return out
}

// walk makes changes to a catalog, as a reader of the notifications would.
func walk(t *testing.T, from []schema.Version, changes []notification.Change) []schema.Version {
	state := map[string]schema.Version{}
	for _, v := range visible(from) {
		state[v.Namespace.String()] = v
	}
	for _, c := range changes {
		v := schema.Version{Namespace: schema.Namespace{Database: c.Database, Collection: c.Collection}}
		def := schema.Definition{}
		if old := state[c.Namespace()].Definition; old != nil {
			def = *old
		}
		switch c.Operation {
		case notification.DropCollection, notification.DropView:
			delete(state, c.Namespace())
			continue
		case notification.RenameCollection:
			delete(state, c.Namespace())
			v.Namespace.Collection = c.To[len(c.Database)+1:]
		case notification.DropIndex:
			def.Indexes = without(def, c.IndexName)
		case notification.CreateIndex:
			def.Indexes = append(without(def, c.IndexName), c.After)
		case notification.ModifyCollection:
			if c.IndexName != "" {
				def.Indexes = append(without(def, c.IndexName), c.After)
			} else {
				def.Options = c.After
			}
		case notification.ModifyView:
			def.Options = c.After
		case notification.CreateCollection, notification.CreateView:
			def = schema.Definition{Kind: kindOf(c), UUID: c.UUID, Options: c.After}
		default:
			t.Fatalf("not of a comparison: %+v", c)
		}
		v.Definition = &def
		state[v.Namespace.String()] = v
	}
	out := make([]schema.Version, 0, len(state))
	for _, v := range state {
		out = append(out, v)
	}
	return out
}

func kindOf(c notification.Change) schema.Kind {
	if c.Operation == notification.CreateView {
		return schema.KindView
	}
	if c.After.Lookup("timeseries").Type != 0 {
		return schema.KindTimeSeries
	}
	return schema.KindCollection
}

func without(def schema.Definition, name string) (out []bson.Raw) {
	for _, spec := range def.Indexes {
		if spec.Lookup("name").StringValue() != name {
			out = append(out, spec)
		}
	}
	return out
}

func sameCatalog(t *testing.T, got, want []schema.Version) {
	t.Helper()
	there := map[string]schema.Definition{}
	for _, v := range got {
		there[v.Namespace.String()] = *v.Definition
	}
	for _, v := range want {
		def, ok := there[v.Namespace.String()]
		if !ok || !def.EquivalentIdentity(*v.Definition) {
			t.Errorf("%s is\n%+v\nwant\n%+v", v.Namespace, def, *v.Definition)
		}
		delete(there, v.Namespace.String())
	}
	for ns := range there {
		t.Errorf("%s should not be there", ns)
	}
}

// TestSwappedNames finds two collections under each other's name, and a third where a
// fourth was: every rename finds its new name free, the drop comes before them.
func TestSwappedNames(t *testing.T) {
	at := func(name string, id byte) schema.Version {
		return schema.Version{
			Namespace:  schema.Namespace{Database: "shop", Collection: name},
			Definition: &schema.Definition{Kind: schema.KindCollection, UUID: oplog.UUID{id}, Options: bson.Raw{5, 0, 0, 0, 0}},
		}
	}
	before := []schema.Version{at("a", 1), at("b", 2), at("c", 3), at("d", 4)}
	after := []schema.Version{at("a", 2), at("b", 1), at("d", 3)}
	var got []string
	taken := map[string]bool{"a": true, "b": true, "c": true, "d": true}
	for _, c := range detector.New(schema.Scope{}).Differences(before, after) {
		got = append(got, c.Statement)
		delete(taken, c.Collection)
		if to := c.To; to != "" {
			if taken[to[len("shop."):]] {
				t.Errorf("%s finds its name taken", c.Statement)
			}
			taken[to[len("shop."):]] = true
		}
	}
	if len(got) != 5 || got[0] != "DROP COLLECTION d" || len(taken) != 3 {
		t.Errorf("got %q", got)
	}
}
