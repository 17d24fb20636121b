package detector

import (
	"strings"

	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/schema"
)

// AffectedNamespaces lists the namespaces whose definitions a unit may have changed, reported
// or not. One without a collection means the whole database.
func (d Detector) AffectedNamespaces(u oplog.Unit) []schema.Namespace {
	var out []schema.Namespace
	for _, e := range u.Operations {
		if e.Op != oplog.OpCommand {
			full, ok := e.Object.Lookup("_id").StringValueOK()
			if !ok {
				full, _ = e.Object2.Lookup("_id").StringValueOK()
			}
			db, coll, _ := strings.Cut(full, ".")
			out = append(out, schema.Namespace{Database: db, Collection: coll})
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
