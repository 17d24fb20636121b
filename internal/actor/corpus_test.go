package actor

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// recorded is the least number of exact actors of each version: a lower figure is a regression.
var recorded = map[string]int{"4.4.2": 87, "5.0.4": 99, "6.0.5": 99, "6.0.27": 99}

// TestCorpus joins the entries of four servers with their logs. Every name begins with the user who acted.
func TestCorpus(t *testing.T) {
	for version, least := range recorded {
		t.Run(version, func(t *testing.T) {
			log := corpusLog(t, version)
			counts, exact := map[string]map[string]int{}, 0
			entries := corpusEntries(t, version)
			users := truth(entries)
			for _, entry := range entries {
				want := users[entry.Collection]
				if want == "" {
					want = named(entry)
				}
				if want == "" {
					continue // system.views, which whoever creates the first view creates
				}
				got, outcome := log.Find(entry)
				result := string(outcome)
				if outcome == Found {
					result = byName
					if got.Exact {
						result = exactly
					}
					if got.User != want+"@admin" || got.App != "app-of-"+want {
						t.Errorf("wrong actor of %s %s: %+v", entry.Command, entry.NS, got)
						result = "wrong"
					}
				}
				if counts[entry.Command] == nil {
					counts[entry.Command] = map[string]int{}
				}
				counts[entry.Command][result]++
				switch {
				case result == exactly:
					exact++
				case result == byName && entry.Command == "collMod":
				case entry.Leaves(int(version[0] - '0')):
					t.Errorf("%s %s: %s", entry.Command, entry.NS, result)
				}
			}
			t.Log(table(version, counts))
			if exact < least {
				t.Errorf("%d exact actors, %d recorded", exact, least)
			}
		})
	}
}

// What became of an entry, beside the outcomes without an actor.
const (
	exactly = "exact"
	byName  = "by name"
)

func table(version string, counts map[string]map[string]int) string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "\n"+version+"\texact\tby name\tnone\twrong")
	for command, c := range counts {
		_, _ = fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\n", command, c[exactly], c[byName], c[string(None)]+c[string(Ambiguous)]+c[string(Unconfirmed)], c["wrong"])
	}
	_ = w.Flush()
	return text.String()
}

func corpusLog(tb testing.TB, version string) *Log {
	tb.Helper()
	raw, err := os.ReadFile("testdata/corpus/mongod-" + version + ".log")
	if err != nil {
		tb.Fatal(err)
	}
	log := &Log{}
	var last Line
	for line := range bytes.Lines(raw) {
		log.Add(line)
		if l, ok := ParseLine(line); ok {
			last = l
			if l.ID == idStateChange {
				// The corpus has no line of the election: the server was primary in term 1 to the end.
				log.Add([]byte(elected(1)))
			}
		}
	}
	log.Confirm(log.Position(), State{Primary: true, Term: 1})
	log.ReadUntil(last.Time.Add(time.Minute))
	return log
}

// stored is an entry as the corpus has it.
type stored struct {
	TS   bson.Timestamp `bson:"ts"`
	Term int64          `bson:"t"`
	Wall time.Time      `bson:"wall"`
	Op   string         `bson:"op"`
	NS   string         `bson:"ns"`
	UI   *bson.Binary   `bson:"ui"`
	O    bson.D         `bson:"o"`
}

func corpusEntries(tb testing.TB, version string) (entries []Entry) {
	tb.Helper()
	f, err := os.Open("testdata/corpus/oplog-" + version + ".jsonl")
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	drops := map[string]bson.Timestamp{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var s stored
		if err := bson.UnmarshalExtJSON(lines.Bytes(), false, &s); err != nil {
			tb.Fatal(err)
		}
		if s.Op != "c" { // a view: no line
			continue
		}
		if s.O[0].Key != "applyOps" {
			entry := s.entry()
			db, _, _ := strings.Cut(entry.NS, ".")
			switch entry.Command {
			case "drop":
				drops[db] = entry.TS
			case "dropDatabase":
				entry.LastDrop = drops[db]
				delete(drops, db)
			}
			entries = append(entries, entry)
			continue
		}
		for _, value := range s.O[0].Value.(bson.A) {
			raw, err := bson.Marshal(value)
			if err != nil {
				tb.Fatal(err)
			}
			inner := stored{TS: s.TS, Term: s.Term, Wall: s.Wall}
			if err := bson.Unmarshal(raw, &inner); err != nil {
				tb.Fatal(err)
			}
			if inner.Op == "c" {
				entries = append(entries, inner.entry())
			}
		}
	}
	return entries
}

func (s stored) entry() Entry {
	db, _, _ := strings.Cut(s.NS, ".")
	e := Entry{TS: s.TS, Term: s.Term, Wall: s.Wall, Command: s.O[0].Key, NS: db}
	if s.UI != nil {
		e.Collection = UUID(s.UI.Data)
	}
	if name, ok := s.O[0].Value.(string); ok {
		e.NS = db + "." + name
	}
	for _, field := range s.O {
		switch field.Key {
		case "renameCollection":
			e.NS = field.Value.(string)
		case "to":
			e.To = field.Value.(string)
		case "name", "index":
			e.Index, _ = field.Value.(string)
		case "indexBuildUUID":
			e.Build = UUID(field.Value.(bson.Binary).Data)
		}
	}
	return e
}

// truth returns the user of each collection: a temporary one is named by its rename.
func truth(entries []Entry) map[UUID]string {
	users := map[UUID]string{}
	for _, e := range entries {
		if user := named(e); user != "" {
			users[e.Collection] = user
		}
	}
	delete(users, UUID{})
	return users
}

// named returns the user whose name is in an entry's names.
func named(e Entry) string {
	for _, user := range []string{"deployer", "analyst", "migrator"} {
		if strings.Contains(e.NS+" "+e.To, user) {
			return user
		}
	}
	return ""
}
