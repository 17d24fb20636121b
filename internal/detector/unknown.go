package detector

import (
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/oplog"
)

// maxCommand bounds what is kept of an entry nobody knows, in bytes.
const maxCommand = 16 << 10

// Malformed tells an entry that could not be decoded, with the optime it has.
func Malformed(e oplog.Entry) Change {
	name, target := e.Command()
	coll, _ := target.StringValueOK()
	return stamp(e, []Change{unknownCommand(e, name, coll)})[0]
}

func unknownCommand(e oplog.Entry, name, coll string) Change {
	command, cut := fit(e.Raw, maxCommand)
	c := Change{
		Operation:  UnknownCommand,
		Database:   e.Database(),
		Collection: coll,
		Statement:  "UNKNOWN COMMAND",
		Command:    command,
	}
	if name != "" {
		c.Statement += " " + word(name)
	}
	if coll != "" {
		c.Statement += " " + word(coll)
	}
	if cut {
		c.Truncated = []string{"command"}
	}
	return c
}

// fit copies a document within a budget of bytes, leaving out what does not fit
// and, at any depth, applyOps: its operations are users' documents. It says
// whether anything was left out.
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
