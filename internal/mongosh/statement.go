package mongosh

import (
	"strings"
	"unicode/utf8"
)

// expressible reports whether the name is valid in a JavaScript string and on servers.
func expressible(name string) bool {
	return name != "" && utf8.ValidString(name) && !strings.Contains(name, "\x00")
}

// target is the target of a statement: the expressions for the database and the collection, and
// the collection's name for commands.
type target struct {
	db, collection string
	name           string
	valid          bool
}

func longTarget(db, coll string) target {
	return target{DB(db), Collection(db, coll), coll, expressible(db) && expressible(coll)}
}

func shortTarget(coll string) target {
	return target{"db", ShortCollection(coll), coll, expressible(coll)}
}

// call returns receiver.method(arguments), or "" if an argument cannot be expressed exactly.
func (t target) call(receiver, method string, arguments ...node) string {
	var w writer
	w.text(receiver + "." + method + "(")
	for i, a := range arguments {
		if i > 0 {
			w.text(", ")
		}
		a.write(&w)
	}
	w.text(")")
	statement, exact := w.result()
	if !exact || !t.valid {
		return ""
	}
	return statement
}

// command returns db.runCommand({…}). The top level of a command must be an object, not a Map;
// its keys are option names, which are never integers.
func (t target) command(fields object) string {
	if shapeOf(fields) != plainObject {
		return ""
	}
	return t.call(t.db, "runCommand", fields)
}
