package migration

import (
	"maps"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/mongosh"
	"github.com/ddltail/ddltail/internal/schema"
)

// createViews creates views, each after those that it is based on. Rebuilt views were dropped before.
func createViews(views []schema.Named, rebuilt map[schema.Namespace]bool) Script {
	byName := map[schema.Namespace]schema.Named{}
	for _, v := range views {
		byName[v.Namespace] = v
	}
	var script Script
	done := map[schema.Namespace]bool{}
	var visit func(v schema.Named)
	visit = func(v schema.Named) {
		if done[v.Namespace] {
			return
		}
		done[v.Namespace] = true
		for name := range sources(v.Definition) {
			if below, ok := byName[schema.Namespace{Database: v.Namespace.Database, Collection: name}]; ok {
				visit(below)
			}
		}
		text := mongosh.CreateView(v.Namespace.Database, v.Namespace.Collection, v.Definition.Options)
		s := step(text, "create the view", v.Namespace)
		s.Drops = rebuilt[v.Namespace]
		script = append(script, s)
	}
	for _, v := range views {
		visit(v)
	}
	return script
}

// sources returns the names on which a view is based, including those in its pipeline's stages. They
// may be more than it reads, which is harmless.
func sources(d schema.Definition) map[string]bool {
	found := map[string]bool{}
	if on, ok := d.Options.Lookup("viewOn").StringValueOK(); ok {
		found[on] = true
	}
	collect(d.Options.Lookup("pipeline"), found)
	return found
}

func collect(v bson.RawValue, found map[string]bool) {
	var elems []bson.RawElement
	if doc, ok := v.DocumentOK(); ok {
		elems, _ = doc.Elements()
	} else if array, ok := v.ArrayOK(); ok {
		elems, _ = bson.Raw(array).Elements()
	}
	for _, el := range elems {
		name, isText := el.Value().StringValueOK()
		switch el.Key() {
		case "from", "coll", "$unionWith":
			if isText {
				found[name] = true
			}
		}
		collect(el.Value(), found)
	}
}

// sameSources reports whether a view can be changed in place: with other sources, two views could
// temporarily depend on each other, which servers refuse. Its collation cannot be changed.
func sameSources(a, b schema.Definition) bool {
	return !slices.Contains(schema.DifferingOptions(a.Options, b.Options), "collation") && maps.Equal(sources(a), sources(b))
}
