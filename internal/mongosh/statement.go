package mongosh

import (
	"strings"
	"unicode/utf8"
)

// expressible reports whether a JavaScript string can hold the name, and whether
// any server takes it.
func expressible(name string) bool {
	return name != "" && utf8.ValidString(name) && !strings.Contains(name, "\x00")
}

// target is where a statement acts: the expressions for the database and the
// collection, and the bare name for commands.
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

// call writes receiver.method(arguments), or "" where one of them could not be
// said exactly.
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

// command writes db.runCommand({…}). The top of a command has to be an object,
// not a Map: its keys are names of options, which no server has as integers.
func (t target) command(fields object) string {
	if shapeOf(fields) != plainObject {
		return ""
	}
	return t.call(t.db, "runCommand", fields)
}
