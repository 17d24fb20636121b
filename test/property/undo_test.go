package property

import (
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/mongosh"
)

// looking is JavaScript that compares what the server has at two moments. Of options
// and specs it compares what [canonical] does.
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

// undoing makes a script that runs every statement; and where it can be taken back,
// takes it back, looks whether all of the database is as it was before, and runs it
// again. No document is written, so that every new collection is still empty. It gives
// the number of statements taken back.
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
