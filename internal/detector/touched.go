package detector

import (
	"strings"

	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/schema"
)

// AffectedNamespaces lists the namespaces whose definitions a unit may have changed, reported
// or not. A namespace without a collection means the whole database.
func (d Detector) AffectedNamespaces(u oplog.Unit) []schema.Namespace {
	var out []schema.Namespace
	for _, e := range u.Operations {
		if db, ok := strings.CutSuffix(e.NS, "."+schema.ViewsCollection); ok && e.Op != oplog.OpCommand {
			out = append(out, viewOf(e, db))
		}
		if e.Op != oplog.OpCommand {
			continue
		}
		name, target := e.Command()
		if row, ok := d.commands[name]; !ok || row.handle == nil {
			continue
		}
		if name == "renameCollection" {
			from, _ := splitNamespace(target)
			to, _ := splitNamespace(e.Object.Lookup("to"))
			out = append(out, from, to)
			continue
		}
		coll, _ := target.StringValueOK()
		if coll == schema.ViewsCollection {
			coll = ""
		}
		out = append(out, schema.Namespace{Database: e.Database(), Collection: strings.TrimPrefix(coll, schema.BucketsPrefix)})
	}
	return out
}

// viewOf returns the view that a write to system.views changes; the whole database for a
// document that is not a view of it.
func viewOf(e oplog.Entry, db string) schema.Namespace {
	full, ok := e.Object.Lookup("_id").StringValueOK()
	if !ok {
		full, _ = e.Object2.Lookup("_id").StringValueOK()
	}
	name, ok := strings.CutPrefix(full, db+".")
	if !ok {
		name = ""
	}
	return schema.Namespace{Database: db, Collection: name}
}
