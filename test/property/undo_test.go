package property

import (
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/mongosh"
)

// looking is JavaScript that compares the server's schema at two times, in the form of
// ddlgen.Canonical.
const looking = `
const canonical = (doc) => Object.entries(doc)
  .filter(([k, v]) => !(k === 'validationLevel' && v === 'strict') && !(k === 'validationAction' && v === 'error'))
  .map(([k, v]) => JSON.stringify(k) + ': ' + EJSON.stringify(v)).sort().join(', ');
const look = (name) => {
  const of = db.getSiblingDB(name);
  const found = [];
  for (const info of of.runCommand({listCollections: 1, cursor: {batchSize: 10000}}).cursor.firstBatch) {
    if (info.name.startsWith('system.')) continue;
    const indexes = info.type === 'view' ? [] : of.runCommand({listIndexes: info.name, cursor: {batchSize: 10000}}).cursor.firstBatch;
    found.push(JSON.stringify([info.name, canonical(info.options), indexes.map(canonical).sort()]));
  }
  return found.sort();
};
const compare = (what, got, want) => {
  const only = (a, b) => a.filter((x) => !b.includes(x)).join('\n');
  if (only(got, want) || only(want, got)) print(what + '\nhas\n' + only(got, want) + '\nwant\n' + only(want, got));
};
let before;
`

// undoing returns a script that runs every statement and, if it has an undo, runs that,
// compares the database with its previous state, and runs the statement again. No
// documents are inserted, so that new collections are empty. It also returns the number
// of undo statements.
func undoing(docs []bson.Raw) (string, int) {
	var script strings.Builder
	script.WriteString(looking)
	undone := 0
	for _, doc := range docs {
		does, _ := doc.Lookup("mongosh").StringValueOK()
		undoes, ok := doc.Lookup("undo").StringValueOK()
		if !ok {
			script.WriteString(does + "\n")
			continue
		}
		undone++
		what := mongosh.Quote(doc.Lookup("operation").StringValue() + " " + does + " taken back by " + undoes)
		db := mongosh.Quote(doc.Lookup("database").StringValue())
		fmt.Fprintf(&script, "before = look(%s)\n%s\n%s\ncompare(%s, look(%[1]s), before)\n%[2]s\n", db, does, undoes, what)
	}
	return script.String(), undone
}
