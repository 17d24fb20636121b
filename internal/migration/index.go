package migration

import (
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/mongosh"
	"github.com/ddltail/ddltail/internal/schema"
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
	_, expired := old.Lookup("expireAfterSeconds").AsInt64OK()
	_, expires := spec.Lookup("expireAfterSeconds").AsInt64OK()
	return expired == expires && schema.EquivalentIndex(old, spec, "hidden", "expireAfterSeconds")
}

func modifyIndex(ns schema.Namespace, old, spec bson.Raw) Script {
	var script Script
	name := bson.E{Key: "name", Value: nameOf(spec)}
	if was, is := flag(old, "hidden"), flag(spec, "hidden"); was != is {
		script = append(script, modify(ns, bson.D{{Key: "index", Value: bson.D{name, {Key: "hidden", Value: is}}}}))
	}
	before, _ := old.Lookup("expireAfterSeconds").AsInt64OK()
	if after, _ := spec.Lookup("expireAfterSeconds").AsInt64OK(); before != after {
		s := modify(ns, bson.D{{Key: "index", Value: bson.D{name, {Key: "expireAfterSeconds", Value: after}}}})
		script = append(script, warnExpiry(s, ns, old, spec))
	}
	return script
}

// warnExpiry says that an index takes documents, or takes them sooner than before.
func warnExpiry(s Step, ns schema.Namespace, old, spec bson.Raw) Step {
	if s.Text != "" && lower("expireAfterSeconds", old, spec) {
		s.Warning, s.Destroys = "DATA MAY GO: "+ns.String()+" expires documents by the index "+mongosh.Quote(nameOf(spec)), true
	}
	return s
}

func flag(spec bson.Raw, key string) bool {
	on, _ := spec.Lookup(key).BooleanOK()
	return on
}

func nameOf(spec bson.Raw) string {
	name, _ := spec.Lookup("name").StringValueOK()
	return name
}

func collated(options bson.Raw) bool {
	_, err := options.LookupErr("collation")
	return err == nil
}
