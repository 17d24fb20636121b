// Package lax creates objects with every option in every form that a server accepts, and compares ddltail's definitions with
// the server: after reading the entries, after a listing, after a restart, and after upgrades in place.
package lax

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/internal/schema"
	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"
)

// quickStep makes `make test` run every 11th trial. It is prime, so that each option and each form is included.
const quickStep = 11

// stepOf returns 1, for every trial, in `make matrix`, which sets MONGOD.
func stepOf() int {
	if os.Getenv("MONGOD") != "" {
		return 1
	}
	return quickStep
}

var binary string

func TestMain(m *testing.M) { os.Exit(ddltailtest.WithBinary(&binary, m.Run)) }

func newLab(t *testing.T, version string) *lab {
	l := &lab{T: t, set: mongotest.NewReplicaSet(t, mongotest.Options{Version: version})}
	l.client = mongotest.Connect(t, l.set.URI())
	return l
}

// TestLaxValues tests every form on one server.
func TestLaxValues(t *testing.T) {
	t.Parallel()
	l := newLab(t, "")
	read, listed := l.detector("by_entries"), l.detector("by_listing")
	l.try("", stepOf(), read)
	listed.run(compares)
	l.check("entries and listing", read, listed)
	read.run(compares)
	listed.run(compares)
	l.check("restart", read, listed)
	for _, d := range []*detector{read, listed} {
		d.healthy("restart")
	}
	listed.stop()
	l.replays(read, listed, "")
	l.table()
}

// upgrades are the versions to which a set is upgraded in place. `make test` ends with the third.
func upgrades() []string {
	if stepOf() == 1 {
		return []string{"4.4.2", "5.0.4", "6.0.5", "6.0.27"}
	}
	return []string{"4.4.2", "5.0.4", "6.0.5"}
}

// TestLaxValuesUpgraded upgrades a 4.4 in place, with one ddltail that runs and one that is stopped meanwhile. More objects
// are created on each version.
func TestLaxValuesUpgraded(t *testing.T) {
	t.Parallel()
	major, err := mongotest.ServerMajor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("MONGOD") != "" && major != 4 {
		t.Skip("begins on 4.4: make matrix runs it there")
	}
	versions := upgrades()
	l := newLab(t, versions[0])
	running, down, listed := l.detector("running"), l.detector("down"), l.detector("listed")
	l.try(versions[0], stepOf(), running, down)
	listed.run(compares)
	all := []*detector{running, down, listed}
	l.reported(versions[0], all...)
	for _, version := range versions[1:] {
		down.stop()
		l.must(l.set.Upgrade(t.Context(), version))
		down.run(compares)
		l.unchanged(version, all...)
		down.stop()
		l.must(l.client.Database("admin").RunCommand(t.Context(), bson.D{{Key: "setFeatureCompatibilityVersion", Value: version[:3]}}).Err())
		down.run(compares)
		l.unchanged(version+", compatible", all...)
		if stepOf() == 1 || version == versions[len(versions)-1] {
			for _, d := range all {
				d.healthy(version)
			}
		}
		if version != versions[len(versions)-1] {
			l.try(version, 3*stepOf(), all...)
			l.reported(version, all...)
		}
	}
	down.stop()
	listed.stop()
	l.replays(running, listed, versions[len(versions)-1])
	l.table()
}

// check fails if a comparison infers a change.
func (l *lab) check(when string, detectors ...*detector) {
	l.Helper()
	l.compared(detectors...)
	for _, d := range detectors {
		inferred := d.inferred()
		for i, t := range l.trials {
			if changes := inferred[t.collection]; len(changes) > d.shown[t.collection] {
				l.trials[i].unequal = true
				d.shown[t.collection] = len(changes)
				l.Errorf("%s, %s: %s %s (%s) is not equal:\n%s", when, d.name, t.option, t.form, t.collection, strings.Join(changes, "\n"))
			}
		}
	}
}

// reported waits until all changes of users are reported, and stores their number.
func (l *lab) reported(when string, detectors ...*detector) {
	l.Helper()
	l.check(when, detectors...)
	for _, d := range detectors {
		d.emitted = len(d.notifications(bson.D{}))
	}
}

// unchanged fails if anything was reported since: an upgrade is not a change.
func (l *lab) unchanged(when string, detectors ...*detector) {
	l.Helper()
	l.check(when, detectors...)
	for _, d := range detectors {
		docs := d.notifications(bson.D{})
		for _, doc := range docs[min(d.emitted, len(docs)):] {
			if strings.Contains(doc.String(), "geoHaystack") && doc.Lookup("source").StringValue() == "oplog" {
				continue // setFeatureCompatibilityVersion drops them
			}
			l.Errorf("%s, %s: reported %s", when, d.name, doc)
		}
		d.emitted = len(docs)
	}
}

// refuses reports whether a version executes no form of a statement: up to 5.0 a collMod sets any expiry of an index, and a
// createIndex refuses what is negative or too large; geoHaystack is of 4.4.
func (r *replay) refuses(statement string) bool {
	creates := strings.Contains(statement, "createIndex(")
	switch {
	case strings.Contains(statement, "geoHaystack"):
		return creates && r.major >= 5
	case strings.Contains(statement, "expireAfterSeconds: -"):
		return r.major >= 6
	case strings.Contains(statement, "expireAfterSeconds: 2147483647"):
		return creates && r.major < 6
	}
	return false
}

// replays runs statements on other servers, of the version newest if the set was upgraded, else of the version under test: what
// was listed and what was read, made by one script each; what was read, made again; the same with all indexes dropped and made
// again; the same taken back. Nothing fails, and the definitions are equal.
func (l *lab) replays(read, listed *detector, newest string) {
	l.Helper()
	r := &replay{lab: l, version: newest, refused: map[string]bool{}}
	r.start()
	r.major = r.firstNumber()
	made := l.definitions(l.client)
	for n, def := range made {
		if slices.ContainsFunc(def.Indexes, negative) {
			r.refused[n.Collection] = true
		}
	}
	again := read.statements("history", "--ns", database+".*")
	undoes := r.undoes(read.notifications(bson.D{}))
	sets := []struct {
		name       string
		statements []string
		// undone is true where nothing is left to compare.
		undone bool
	}{
		{name: "listed", statements: listed.statements("history", "--as-of", "now", "--ns", database+".*")},
		{name: "read", statements: read.statements("history", "--as-of", "now", "--ns", database+".*")},
		{name: "replayed", statements: again},
		{name: "indexed", statements: slices.Concat(again, r.dropIndexes(read))},
		{name: "undone", statements: slices.Concat(again, undoes), undone: true},
	}
	run := 0
	for i, in := range sets {
		sets[i].statements = r.accepted(in.statements)
		run += len(sets[i].statements)
	}
	for i, in := range sets {
		// Each set has a server of its own: one with the files of all sets, also of dropped ones, reaches its limit of open files and
		// ends.
		if i > 0 {
			l.must(r.other.Members()[0].Kill())
			r.start()
		}
		if failed := r.mongosh(r.other, in.statements); len(failed) > 0 {
			r.Errorf("%s: statements failed:\n%s", in.name, strings.Join(failed, "\n"))
		}
		if !in.undone {
			r.same(in.name, made)
		}
	}
	l.Logf("%d statements run, %d of them undo, %d collections refused by this version", run, len(undoes), len(r.refused))
}

// replay runs statements on other servers, one after the other.
type replay struct {
	*lab
	// version is that of the other servers; empty for the one under test.
	version string
	other   *mongotest.ReplicaSet
	client  *mongo.Client
	major   int
	// refused are collections that the server does not make in full.
	refused map[string]bool
}

// start starts the other server.
func (r *replay) start() {
	r.Helper()
	r.other = mongotest.NewReplicaSet(r, mongotest.Options{Version: r.version})
	r.client = mongotest.Connect(r, r.other.URI())
}

// firstNumber is the first number of the server's version.
func (r *replay) firstNumber() (major int) {
	r.Helper()
	info, err := r.client.Database("admin").RunCommand(r.Context(), bson.D{{Key: "buildInfo", Value: 1}}).Raw()
	r.must(err)
	_, err = fmt.Sscanf(info.Lookup("version").StringValue(), "%d.", &major)
	r.must(err)
	return major
}

// accepted returns the statements but for those that the server refuses.
func (r *replay) accepted(statements []string) []string {
	return slices.DeleteFunc(slices.Clone(statements), func(s string) bool {
		name := collectionName.FindString(s)
		if r.refuses(s) {
			r.refused[name] = true
			return true
		}
		return r.refused[name] && strings.Contains(s, "dropIndex(")
	})
}

// negative reports whether an index has an expiry that a collMod set and no createIndex accepts. A schema's script leaves it out.
func negative(spec bson.Raw) bool {
	seconds, ok := spec.Lookup("expireAfterSeconds").AsInt64OK()
	return ok && seconds < 0
}

var collectionName = regexp.MustCompile(`c[0-9]*_[0-9]{4}`)

func (r *replay) same(name string, want schema.Definitions) {
	r.Helper()
	for _, diff := range schema.Diff(want, r.definitions(r.client), schema.ByName) {
		if diff.From == nil || !r.refused[diff.From.Namespace.Collection] {
			r.Errorf("%s:\n%s\nis\n%s", name, describe(diff.From), describe(diff.To))
		}
	}
}

// undoes returns the undo statements of changes, the last one first.
func (r *replay) undoes(docs []bson.Raw) []string {
	var undoes []string
	for _, doc := range docs {
		if _, ok := doc.Lookup("mongosh").StringValueOK(); !ok {
			r.Errorf("no statement: %s", doc)
		}
		if undo, ok := doc.Lookup("undo").StringValueOK(); ok && r.remains(doc.Lookup("collection").StringValue()) {
			undoes = append(undoes, undo)
		}
	}
	slices.Reverse(undoes)
	return undoes
}

// dropIndexes drops every index of the set, and returns the statements that do so, then those that take it back.
func (r *replay) dropIndexes(d *detector) []string {
	r.Helper()
	before, dropped := len(d.notifications(bson.D{})), 0
	for n, def := range r.definitions(r.lab.client) {
		for _, spec := range def.Indexes {
			command := bson.D{{Key: "dropIndexes", Value: n.Collection}, {Key: "index", Value: schema.IndexName(spec)}}
			r.must(r.lab.client.Database(database).RunCommand(r.Context(), command).Err())
			dropped++
		}
	}
	var docs []bson.Raw
	r.until("the drops of indexes are reported", func() bool {
		docs = d.notifications(bson.D{})[before:]
		return len(docs) == dropped
	})
	var drops, undoes []string
	for _, doc := range docs {
		undo, ok := doc.Lookup("undo").StringValueOK()
		_, notTTL := doc.LookupErr("before", "expireAfterSeconds")
		switch {
		case ok:
			drops, undoes = append(drops, doc.Lookup("mongosh").StringValue()), append(undoes, undo)
		case notTTL != nil: // making a TTL index could remove documents
			r.Errorf("no undo: %s", doc)
		}
	}
	return append(drops, undoes...)
}

// remains reports whether a collection was kept: those of refused trials are dropped.
func (l *lab) remains(collection string) bool {
	return slices.ContainsFunc(l.trials, func(t trial) bool { return t.collection == collection && t.accepted })
}

// table prints the trials, by version and option.
func (l *lab) table() {
	var b strings.Builder
	const row = "%-6s %-50s %6d %9d %6d  %s\n"
	fmt.Fprintf(&b, "%-6s %-50s %6s %9s %6s  accepted forms\n", "", "option", "tried", "accepted", "equal")
	all := [3]int{}
	for i := 0; i < len(l.trials); {
		first, n, forms := l.trials[i], [3]int{}, []string{}
		for ; i < len(l.trials) && l.trials[i].version == first.version && l.trials[i].option == first.option; i++ {
			n[0]++
			if t := l.trials[i]; t.accepted {
				n[1]++
				forms = append(forms, t.form)
				if !t.unequal {
					n[2]++
				}
			}
		}
		for i := range n {
			all[i] += n[i]
		}
		fmt.Fprintf(&b, row, first.version, first.option, n[0], n[1], n[2], strings.Join(forms, " "))
	}
	fmt.Fprintf(&b, row, "", "all", all[0], all[1], all[2], "")
	l.Log("\n" + b.String())
}

func asServerError(err error, into *mongo.ServerError) bool { return errors.As(err, into) }
