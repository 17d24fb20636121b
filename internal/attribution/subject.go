package attribution

import (
	"maps"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/actor"
	"github.com/ddltail/ddltail/internal/oplog"
)

// maxEntries bounds how many operations of one transaction are used for joins: one is sufficient.
const maxEntries = 20

// Subject is a committed unit. It has one actor: it is a single entry, or a transaction, which belongs to one session.
type Subject struct {
	// IDs are the _ids of its notifications.
	IDs     []string
	Entries []actor.Entry
	// Session is the lsid.uid of a transaction.
	Session actor.UID
}

// Drops holds the last drop in each database of the last maxAge: a dropDatabase follows the drops of its collections. The zero value is
// empty.
type Drops struct{ last map[string]bson.Timestamp }

// Subject returns the subject of a committed unit. Call it for each in order.
func (d *Drops) Subject(u oplog.Unit) Subject {
	s := Subject{Session: u.SessionUser}
	for _, op := range u.Operations {
		entry := entryOf(op)
		entry.TS, entry.Term, entry.Wall = u.OpTime.TS, u.OpTime.Term, u.Wall
		switch entry.Command {
		case "":
			continue
		case "drop":
			if d.last == nil {
				d.last = map[string]bson.Timestamp{}
			}
			maps.DeleteFunc(d.last, func(_ string, at bson.Timestamp) bool { return int64(entry.TS.T)-int64(at.T) > int64(maxAge.Seconds()) })
			d.last[op.Database()] = entry.TS
		case "dropDatabase":
			entry.LastDrop = d.last[op.Database()]
			delete(d.last, op.Database())
		}
		if len(s.Entries) < maxEntries {
			s.Entries = append(s.Entries, entry)
		}
	}
	return s
}

// entryOf returns the identifying fields of an operation. Like the log, it has the names in the entry, not those that users see.
func entryOf(op oplog.Entry) actor.Entry {
	name, target := op.Command()
	e := actor.Entry{Command: name, Collection: actor.UUID(op.UUID), NS: op.Database()}
	if coll, ok := target.StringValueOK(); ok {
		e.NS += "." + coll
	}
	switch name {
	case "deleteIndexes":
		e.Command = "dropIndexes"
		e.Index, _ = op.Object.Lookup("index").StringValueOK()
	case "dropIndexes":
		e.Index, _ = op.Object.Lookup("index").StringValueOK()
	case "createIndexes":
		e.Index, _ = op.Object.Lookup("name").StringValueOK()
	case "startIndexBuild", "commitIndexBuild", "abortIndexBuild":
		if _, id, ok := op.Object.Lookup("indexBuildUUID").BinaryOK(); ok && len(id) == len(e.Build) {
			e.Build = actor.UUID(id)
		}
	case "renameCollection":
		e.NS, _ = target.StringValueOK()
		e.To, _ = op.Object.Lookup("to").StringValueOK()
	case "collMod":
		if text, err := bson.MarshalExtJSON(op.Object, false, false); err == nil {
			e.Change = string(text)
		}
	case "dropDatabase":
		e.NS = op.Database()
	case "":
		e = modifiedView(op)
	}
	return e
}

// modifiedView returns the entry of a view that a collMod changed; the zero value for any other document.
func modifiedView(op oplog.Entry) actor.Entry {
	full, ok := op.Object.Lookup("_id").StringValueOK()
	if op.Op != oplog.OpUpdate || !ok {
		return actor.Entry{}
	}
	return actor.Entry{Command: "collMod", NS: full}
}
