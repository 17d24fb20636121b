package actor_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// verdicts count the results of changes, by operation.
type verdicts map[string]map[string]int

const (
	exact   = "exact"
	byName  = "by name"
	session = "lsid"
	noActor = "none"
	noLine  = "no line" // no log has it: it was written between the copy and the truncation of a rotation
	wrong   = "wrong"
)

// judge compares the actors of all notifications with those in the names of the changes.
func (w world) judge(database string) verdicts {
	w.Helper()
	cursor, err := w.root.Database(database).Collection("schema_history").Aggregate(w.Context(), mongo.Pipeline{
		{{Key: "$match", Value: bson.D{{Key: "database", Value: bson.D{{Key: "$regex", Value: "^of_"}}}}}},
		{{Key: "$lookup", Value: bson.D{{Key: "from", Value: "schema_actors"}, {Key: "localField", Value: "_id"}, {Key: "foreignField", Value: "_id"}, {Key: "as", Value: "late"}}}},
	})
	w.must(err)
	var docs []struct {
		ID        string `bson:"_id"`
		Operation string `bson:"operation"`
		Database  string `bson:"database"`
		Statement string `bson:"operation_statement"`
		Actor     *found `bson:"actor"`
		Late      []struct {
			Actor found `bson:"actor"`
		} `bson:"late"`
	}
	w.must(cursor.All(w.Context(), &docs))
	counts := verdicts{}
	logged := sync.OnceValue(w.logged)
	late := 0
	for _, d := range docs {
		var person int
		if _, err := fmt.Sscanf(d.Database, "of_%d_", &person); err != nil {
			continue
		}
		actor := d.Actor
		if actor == nil && len(d.Late) > 0 {
			actor = &d.Late[0].Actor
			late++
		}
		if counts[d.Operation] == nil {
			counts[d.Operation] = map[string]int{}
		}
		app := appOf(person)
		if strings.HasSuffix(d.Database, switching) {
			app = switching
		}
		verdict := actor.verdict(userOf(person), app)
		if verdict == noActor && hasOptime(d.Operation) && !logged()[optime(d.ID)] {
			verdict = noLine
		}
		counts[d.Operation][verdict]++
		if verdict == wrong {
			w.Errorf("%s %s of %s: %+v", d.ID, d.Statement, userOf(person), actor)
		}
		if verdict == noActor && testing.Verbose() && hasLine(d.Operation) {
			w.Logf("none: %s %s", d.ID, d.Statement)
			w.explain(d.ID)
		}
	}
	w.Logf("%d notifications, %d actors found late\n%s", len(docs), late, counts)
	return counts
}

// logged returns the optimes in the lines of client connections, in all log files of all members, as optime does.
func (w world) logged() map[string]bool {
	w.Helper()
	found := map[string]bool{}
	pattern := regexp.MustCompile(`\{"t":\d+,"i":\d+\}`)
	for _, m := range w.set.Members() {
		paths, err := filepath.Glob(m.Log() + "*")
		w.must(err)
		for _, path := range paths {
			raw, err := os.ReadFile(path)
			w.must(err)
			for line := range bytes.Lines(raw) {
				if !bytes.Contains(line, []byte(`"ctx":"conn`)) || bytes.Contains(line, []byte(slowQueryID)) {
					continue
				}
				for _, optime := range pattern.FindAll(line, -1) {
					found[string(optime)] = true
				}
			}
		}
	}
	return found
}

// slowQueryID is in a line that has the time of its session.
const slowQueryID = `"id":51803,`

// optime returns the optime of a notification's _id in the form of a log line.
func optime(id string) string {
	var t, i int
	_, _ = fmt.Sscanf(id[strings.IndexByte(id, ':')+1:], "%d:%d:", &t, &i)
	return fmt.Sprintf(`{"t":%d,"i":%d}`, t, i)
}

// hasOptime reports whether a line of the operation has the optime of its own entry.
func hasOptime(operation string) bool {
	return slices.Contains([]string{"CREATE_COLLECTION", "DROP_COLLECTION"}, operation)
}

// explain logs the lines of the servers that have the optime of a notification.
func (w world) explain(id string) {
	for _, m := range w.set.Members() {
		raw, _ := os.ReadFile(m.Log())
		for line := range strings.Lines(string(raw)) {
			if strings.Contains(line, optime(id)) && !strings.Contains(line, slowQueryID) {
				w.Logf("    %s", line)
			}
		}
	}
}

type found struct {
	User     string `bson:"user"`
	App      string `bson:"app"`
	Evidence string `bson:"evidence"`
	Exact    bool   `bson:"exact"`
}

func (f *found) verdict(user, app string) string {
	switch {
	case f == nil:
		return noActor
	case f.User != user, f.Evidence == "log" && strings.ReplaceAll(f.App, `\u001b`, "\x1b") != app: // newer servers escape it
		return wrong
	case f.Evidence == "lsid":
		return session
	case f.Exact:
		return exact
	}
	return byName
}

// hasLine reports whether a log line of the operation can be joined by optime or UUID.
func hasLine(operation string) bool {
	return !slices.Contains([]string{"MODIFY_COLLECTION", "CREATE_VIEW", "MODIFY_VIEW", "DROP_VIEW", "DROP_DATABASE"}, operation)
}

// share returns the share of changes with an exactly joined line that have an exact
// actor.
func (v verdicts) share() float64 {
	have, all := 0, 0
	for operation, counts := range v {
		if !hasLine(operation) {
			continue
		}
		for verdict, n := range counts {
			if verdict == noLine {
				continue
			}
			all += n
			if verdict == exact || verdict == session {
				have += n
			}
		}
	}
	return float64(have) / float64(max(all, 1))
}

func (v verdicts) String() string {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	columns := []string{exact, session, byName, noActor, noLine, wrong}
	_, _ = fmt.Fprintln(table, "\t"+strings.Join(columns, "\t"))
	for _, operation := range slices.Sorted(func(yield func(string) bool) {
		for o := range v {
			if !yield(o) {
				return
			}
		}
	}) {
		_, _ = fmt.Fprint(table, operation)
		for _, c := range columns {
			_, _ = fmt.Fprintf(table, "\t%d", v[operation][c])
		}
		_, _ = fmt.Fprintln(table)
	}
	_ = table.Flush()
	return text.String()
}
