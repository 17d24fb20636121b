package detector

import (
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/notification"
)

// maxCommand bounds the reported part of an unknown entry, in bytes.
const maxCommand = 16 << 10

// unknown reports an entry with an unknown command or an unexpected shape.
func (w *detection) unknown(op operation) {
	name, target := op.Command()
	coll, _ := target.StringValueOK()
	command, cut := fit(op.Raw, maxCommand)
	c := notification.Change{
		Operation:  notification.UnknownCommand,
		Database:   op.Database(),
		Collection: coll,
		Statement:  text(notification.UnknownCommand, name, coll),
		Command:    command,
		UUID:       op.UUID,
	}
	if cut {
		c.Truncated = []string{"command"}
	}
	w.changes = append(w.changes, c)
}

// fit copies a document up to a size in bytes. It omits fields that do not fit and, at any depth,
// applyOps, because its operations are users' documents. It reports whether a field was omitted.
func fit(doc bson.Raw, budget int) (bson.Raw, bool) {
	elems, err := doc.Elements()
	kept := bson.D{}
	cut := err != nil
	budget -= len(bson.Raw{5, 0, 0, 0, 0})
	for _, el := range elems {
		overhead := 2 + len(el.Key())
		value, room := el.Value(), budget-overhead
		if el.Key() == "applyOps" || room <= 0 {
			cut = true
			continue
		}
		if sub, ok := value.DocumentOK(); ok {
			small, subCut := fit(sub, room)
			cut = cut || subCut
			value = bson.RawValue{Type: bson.TypeEmbeddedDocument, Value: small}
		}
		if len(value.Value) > room {
			cut = true
			continue
		}
		budget -= overhead + len(value.Value)
		kept = append(kept, bson.E{Key: el.Key(), Value: value})
	}
	out, err := bson.Marshal(kept)
	if err != nil {
		return nil, true
	}
	return out, cut
}
