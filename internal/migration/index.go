package migration

import (
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/mongosh"
	"github.com/ddltail/ddltail/internal/rawdoc"
	"github.com/ddltail/ddltail/internal/schema"
	"github.com/ddltail/ddltail/internal/schema/option"
)

// indexChanges are the steps that change the indexes of a collection.
type indexChanges struct {
	// first are the drops that a new index needs, because of its name or its key.
	first, creates Script
	// last are the other drops, so that queries always have an index.
	last Script
}

// changeIndexes plans the changes of a collection's indexes.
func changeIndexes(to schema.Named, from schema.Definition) indexChanges {
	var c indexChanges
	var created []bson.Raw
	for _, spec := range to.Definition.Indexes {
		old := from.Index(nameOf(spec))
		switch {
		case old == nil:
			created = append(created, spec)
			c.creates = append(c.creates, createIndex(to, spec))
		case schema.EquivalentIndex(old, spec):
		case canModify(old, spec):
			c.creates = append(c.creates, modifyIndex(to.Namespace, old, spec)...)
		default:
			c.first = append(c.first, dropIndex(to.Namespace, nameOf(spec)))
			s := createIndex(to, spec)
			s.Drops = true
			c.creates = append(c.creates, s)
		}
	}
	for _, old := range from.Indexes {
		if to.Definition.Index(nameOf(old)) != nil {
			continue
		}
		drop := dropIndex(to.Namespace, nameOf(old))
		if i := slices.IndexFunc(created, func(spec bson.Raw) bool { return excludes(old, spec) }); i >= 0 {
			c.first = append(c.first, drop)
			c.needsDrop(nameOf(created[i]), to)
			continue
		}
		c.last = append(c.last, drop)
	}
	return c
}

// needsDrop marks the creation of an index that the server refuses while the old one exists.
func (c *indexChanges) needsDrop(name string, to schema.Named) {
	text := createIndex(to, to.Definition.Index(name)).Text
	for i := range c.creates {
		if c.creates[i].Text == text {
			c.creates[i].Drops = true
		}
	}
}

// excludes reports whether the server refuses an index while another one exists: that of the same
// key and collation. From 5.0 on it also accepts another partialFilterExpression; a script runs on
// older servers too.
func excludes(old, spec bson.Raw) bool {
	one, _ := old.Lookup("key").DocumentOK()
	other, _ := spec.Lookup("key").DocumentOK()
	return string(one) == string(other) && !slices.Contains(schema.DifferingIndex(old, spec), "collation")
}

func dropIndex(ns schema.Namespace, name string) Step {
	s := step(mongosh.DropIndex(ns.Database, ns.Collection, name), "drop the index "+name+" of", ns)
	s.Drops = true
	return s
}

func createIndex(to schema.Named, spec bson.Raw) Step {
	ns, stated := to.Namespace, spec
	if collated(to.Definition.Options) {
		stated = mongosh.WithSimpleCollation(spec)
	}
	s := step(mongosh.CreateIndex(ns.Database, ns.Collection, stated), "create the index "+nameOf(spec)+" of", ns)
	return warnExpiry(s, ns, nil, spec)
}

// canModify reports whether collMod can change all differing options on every server.
func canModify(old, spec bson.Raw) bool {
	_, expired := old.LookupErr("expireAfterSeconds")
	_, expires := spec.LookupErr("expireAfterSeconds")
	return (expired == nil) == (expires == nil) && schema.EquivalentIndex(old, spec, "hidden", "expireAfterSeconds")
}

func modifyIndex(ns schema.Namespace, old, spec bson.Raw) Script {
	var script Script
	name := bson.E{Key: "name", Value: nameOf(spec)}
	if was, is := rawdoc.Truthy(old.Lookup("hidden")), rawdoc.Truthy(spec.Lookup("hidden")); was != is {
		script = append(script, modify(ns, bson.D{{Key: "index", Value: bson.D{name, {Key: "hidden", Value: is}}}}))
	}
	row := option.Index("expireAfterSeconds")
	before, after := old.Lookup(row.Name), spec.Lookup(row.Name)
	if seconds, ok := row.Int64(after); ok && !row.Same(before, after) {
		s := modify(ns, bson.D{{Key: "index", Value: bson.D{name, {Key: row.Parameter, Value: seconds}}}})
		script = append(script, warnExpiry(s, ns, old, spec))
	}
	return script
}

// warnExpiry adds a warning if an index expires documents, or expires them sooner than before.
func warnExpiry(s Step, ns schema.Namespace, old, spec bson.Raw) Step {
	if s.Text != "" && lower(option.Index("expireAfterSeconds"), old, spec) {
		s.Warning, s.Destroys = "DATA MAY BE LOST: "+ns.String()+" expires documents by the index "+mongosh.Quote(nameOf(spec)), true
	}
	return s
}

func nameOf(spec bson.Raw) string {
	name, _ := spec.Lookup("name").StringValueOK()
	return name
}

func collated(options bson.Raw) bool {
	_, err := options.LookupErr("collation")
	return err == nil
}
