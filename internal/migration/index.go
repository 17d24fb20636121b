package migration

import (
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/mongosh"
	"github.com/ddltail/ddltail/internal/rawdoc"
	"github.com/ddltail/ddltail/internal/schema"
	"github.com/ddltail/ddltail/internal/schema/option"
)

// changeIndexes leads to the indexes of a collection: what is to be dropped comes
// apart from what is to be made, because two indexes may want one key.
func changeIndexes(to schema.Named, from schema.Definition) (drops, creates Script) {
	ns := to.Namespace
	dropIt := func(name string) {
		drops = append(drops, step(mongosh.DropIndex(ns.Database, ns.Collection, name), "drop the index "+name+" of", ns))
	}
	for _, old := range from.Indexes {
		if to.Definition.Index(nameOf(old)) == nil {
			dropIt(nameOf(old))
		}
	}
	for _, spec := range to.Definition.Indexes {
		old := from.Index(nameOf(spec))
		switch {
		case old == nil:
			creates = append(creates, createIndex(to, spec))
		case schema.EquivalentIndex(old, spec):
		case canModify(old, spec):
			creates = append(creates, modifyIndex(ns, old, spec)...)
		default:
			dropIt(nameOf(spec))
			creates = append(creates, createIndex(to, spec))
		}
	}
	return drops, creates
}

func createIndex(to schema.Named, spec bson.Raw) Step {
	ns, stated := to.Namespace, spec
	if collated(to.Definition.Options) {
		stated = mongosh.WithSimpleCollation(spec)
	}
	s := step(mongosh.CreateIndex(ns.Database, ns.Collection, stated), "create the index "+nameOf(spec)+" of", ns)
	return warnExpiry(s, ns, nil, spec)
}

// canModify reports whether only such options differ as collMod changes on every server.
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

// warnExpiry says that an index takes documents, or takes them sooner than before.
func warnExpiry(s Step, ns schema.Namespace, old, spec bson.Raw) Step {
	if s.Text != "" && lower(option.Index("expireAfterSeconds"), old, spec) {
		s.Warning, s.Destroys = "DATA MAY GO: "+ns.String()+" expires documents by the index "+mongosh.Quote(nameOf(spec)), true
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
