// Package lax makes objects with every option in every form that a server accepts, and holds what ddltail says of them against
// the server: after their entries, after a listing, after a restart, and after upgrades in place.
package lax

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/internal/schema"
	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"
)

// quickStep is the share of the trials that `make test` makes. It is prime, so that each option and each form has its turn.
const quickStep = 7

// stepOf is 1, every trial, in `make matrix`, which names the server.
func stepOf() int {
	if os.Getenv("MONGOD") != "" {
		return 1
	}
	return quickStep
}

func newLab(t *testing.T, version string) *lab {
	binary, err := ddltailtest.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{T: t, binary: binary, set: mongotest.NewReplicaSet(t, mongotest.Options{Version: version})}
	l.client = mongotest.Connect(t, l.set.URI())
	return l
}

// TestLaxValues tries every form on one server.
func TestLaxValues(t *testing.T) {
	t.Parallel()
	l := newLab(t, "")
	read := l.start("by_entries")
	l.try(stepOf())
	listed := l.start("by_listing")
	l.check("entries and listing", read, listed)
	listed.stop()
	read.stop()
	read.restart()
	l.check("restart", read)
	if differences := read.differences(); len(differences) > 0 {
		t.Errorf("status shows\n%s", strings.Join(differences, "\n"))
	}
	read.stop()
	l.replays(read, "")
	l.table()
}

// TestLaxValuesUpgraded upgrades a 4.4 in place, by a ddltail that runs and one that is down meanwhile.
func TestLaxValuesUpgraded(t *testing.T) {
	t.Parallel()
	major, err := mongotest.ServerMajor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("MONGOD") != "" && major != 4 {
		t.Skip("begins on 4.4: make matrix runs it there")
	}
	l := newLab(t, "4.4.2")
	running, down := l.start("running"), l.start("down")
	l.try(stepOf())
	listed := l.start("listed")
	l.check("4.4.2", running, down, listed)
	for _, version := range []string{"5.0.4", "6.0.5"} {
		down.stop()
		if err := l.set.Upgrade(t.Context(), version); err != nil {
			t.Fatal(err)
		}
		for _, compatible := range []string{"", version[:3]} {
			if compatible != "" {
				l.must(l.client.Database("admin").RunCommand(t.Context(), bson.D{{Key: "setFeatureCompatibilityVersion", Value: compatible}}).Err())
			}
			label := strings.TrimSpace(version + " " + compatible)
			down.restart()
			l.check(label, running, listed, down)
			down.stop()
		}
		down.restart()
	}
	for _, d := range []*detector{running, down, listed} {
		if differences := d.differences(); len(differences) > 0 {
			t.Errorf("status of %s shows\n%s", d.name, strings.Join(differences, "\n"))
		}
	}
	l.onlyUsersChanges(running)
	running.stop()
	l.replays(running, "6.0.5")
	l.table()
}

// check wants that comparisons infer nothing.
func (l *lab) check(when string, detectors ...*detector) {
	l.Helper()
	l.compared(detectors...)
	for _, d := range detectors {
		inferred := d.inferred()
		for _, t := range l.trials {
			if changes := inferred[t.collection]; len(changes) > 0 {
				l.Errorf("%s, %s: %s %s (%s) is not equal:\n%s", when, d.name, t.option, t.form, t.collection, strings.Join(changes, "\n"))
			}
		}
	}
}

// onlyUsersChanges wants no change of an index's expiry that nobody made.
func (l *lab) onlyUsersChanges(d *detector) {
	l.Helper()
	for _, doc := range d.notifications(bson.D{{Key: "operation", Value: "MODIFY_COLLECTION"}}) {
		i := slices.IndexFunc(l.trials, func(t trial) bool { return t.collection == doc.Lookup("collection").StringValue() })
		if i >= 0 && strings.HasPrefix(l.trials[i].option, "index ") {
			l.Errorf("%s %s: %s", l.trials[i].option, l.trials[i].form, doc.Lookup("operation_statement"))
		}
	}
}

// refusedLater are statements that 4.4 executes and later versions refuse, whatever the form: an index with a negative expiry.
// Their undo is executed nevertheless.
func refusedLater(statement string) bool { return strings.Contains(statement, "expireAfterSeconds: -") }

// replays runs the statements, then takes them back, on another server: of the version newest if the set was upgraded, else of
// the version under test. The definitions come out equal, and nothing fails.
func (l *lab) replays(d *detector, newest string) {
	l.Helper()
	other := mongotest.NewReplicaSet(l, mongotest.Options{Version: newest})
	docs := d.notifications(bson.D{})
	var does, undoes []string
	refused := map[string]bool{}
	for _, doc := range docs {
		text, _ := doc.Lookup("mongosh").StringValueOK()
		if newest != "" && refusedLater(text) {
			refused[doc.Lookup("collection").StringValue()] = true
			text = ""
		} else if text == "" && !strings.Contains(doc.String(), "geoHaystack") {
			l.Errorf("no statement: %s", doc)
		}
		does = append(does, text)
		if undo, ok := doc.Lookup("undo").StringValueOK(); ok && l.remains(doc.Lookup("collection").StringValue()) {
			undoes = append(undoes, undo)
		}
	}
	if failed := l.replay(other, does); len(failed) > 0 {
		l.Errorf("replayed:\n%s", strings.Join(failed, "\n"))
	}
	client := mongotest.Connect(l, other.URI())
	for _, diff := range schema.Diff(l.definitions(l.client), l.definitions(client), schema.ByName) {
		if diff.From == nil || !refused[diff.From.Namespace.Collection] {
			l.Errorf("replayed:\n%s\nis\n%s", describe(diff.From), describe(diff.To))
		}
	}
	slices.Reverse(undoes)
	if failed := l.replay(other, undoes); len(failed) > 0 {
		l.Errorf("taken back:\n%s", strings.Join(failed, "\n"))
	}
	l.Logf("%d statements run, %d taken back, %d refused by this version", len(does), len(undoes), len(refused))
}

// remains reports whether a collection was not dropped again, because the server refused its trial.
func (l *lab) remains(collection string) bool {
	return slices.ContainsFunc(l.trials, func(t trial) bool { return t.collection == collection && t.accepted })
}

// table prints what was tried.
func (l *lab) table() {
	var b strings.Builder
	fmt.Fprintf(&b, "%-50s %6s %9s\n", "option", "tried", "accepted")
	tried, accepted := 0, 0
	for i := 0; i < len(l.trials); {
		option, t, a := l.trials[i].option, 0, []string{}
		for ; i < len(l.trials) && l.trials[i].option == option; i++ {
			t++
			if l.trials[i].accepted {
				a = append(a, l.trials[i].form)
			}
		}
		tried, accepted = tried+t, accepted+len(a)
		fmt.Fprintf(&b, "%-50s %6d %9d  %s\n", option, t, len(a), strings.Join(a, " "))
	}
	fmt.Fprintf(&b, "%-50s %6d %9d\n", "all", tried, accepted)
	l.Log("\n" + b.String())
}

func asServerError(err error, into *mongo.ServerError) bool { return errors.As(err, into) }
