package notification_test

import (
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/notification"
)

func TestFilter(t *testing.T) {
	on := func(op notification.Operation, db, coll string) notification.Change {
		return notification.Change{Operation: op, Database: db, Collection: coll}
	}
	rename := on(notification.RenameCollection, "shop", "orders")
	rename.To = "archive.orders"
	dropDatabase := on(notification.DropDatabase, "shop", "")
	payments := on(notification.CreateCollection, "shop", "payments")
	dotted := on(notification.CreateIndex, "shop", "a.b.c")
	odd := on(notification.CreateCollection, "shop", "new\nline (+)[$]")
	gap := on(notification.HistoryGap, "", "")
	unknown := on(notification.UnknownCommand, "other", "x")

	for _, c := range []struct {
		name             string
		include, exclude []string
		operations       []notification.Operation
		change           notification.Change
		passes           bool
	}{
		{name: "no filter", change: payments, passes: true},
		{name: "exact", include: []string{"shop.payments"}, change: payments, passes: true},
		{name: "another collection", include: []string{"shop.orders"}, change: payments},
		{name: "a name is no prefix", include: []string{"shop.pay"}, change: payments},
		{name: "a name is no suffix", include: []string{"hop.payments"}, change: payments},
		{name: "the second of two", include: []string{"a.*", "shop.*"}, change: payments, passes: true},
		{name: "* matches dots", include: []string{"shop.a*c"}, change: dotted, passes: true},
		{name: "* matches nothing too", include: []string{"shop.payments*"}, change: payments, passes: true},
		{name: "* over the dot between database and collection", include: []string{"s*s"}, change: payments, passes: true},
		{name: "other characters stand for themselves", include: []string{"shop.pa.ments"}, change: payments},
		{name: "signs of regular expressions", include: []string{"shop.new\nline (+)[$]"}, change: odd, passes: true},
		{name: "* matches newlines", include: []string{"shop.new*[$]"}, change: odd, passes: true},
		{name: "excluded", exclude: []string{"shop.p*"}, change: payments},
		{name: "not excluded", exclude: []string{"shop.q*"}, change: payments, passes: true},
		{name: "excluded from what is included", include: []string{"shop.*"}, exclude: []string{"*.payments"}, change: payments},

		{name: "a rename by its old name", include: []string{"shop.*"}, change: rename, passes: true},
		{name: "a rename by its new name", include: []string{"archive.*"}, change: rename, passes: true},
		{name: "a rename by neither", include: []string{"other.*"}, change: rename},
		{name: "a rename excluded by its old name", exclude: []string{"shop.orders"}, change: rename},
		{name: "a rename excluded by its new name", exclude: []string{"archive.orders"}, change: rename},

		{name: "a database by db.", include: []string{"shop."}, change: dropDatabase, passes: true},
		{name: "a database by db.*", include: []string{"shop.*"}, change: dropDatabase, passes: true},
		{name: "a database without the dot", include: []string{"shop"}, change: dropDatabase},
		{name: "a database by a collection of it", include: []string{"shop.payments"}, change: dropDatabase},
		{name: "a database excluded by db.", exclude: []string{"shop."}, change: dropDatabase},
		{name: "db. is no collection", exclude: []string{"shop."}, change: payments, passes: true},

		{name: "an operation", operations: []notification.Operation{notification.CreateCollection}, change: payments, passes: true},
		{name: "another operation", operations: []notification.Operation{notification.DropCollection}, change: payments},
		{name: "operation and namespace", include: []string{"other.*"}, operations: []notification.Operation{notification.CreateCollection}, change: payments},

		{name: "a gap always", include: []string{"x.y"}, exclude: []string{"*"}, operations: []notification.Operation{notification.DropIndex}, change: gap, passes: true},
		{name: "an unknown command always", include: []string{"x.y"}, exclude: []string{"*"}, operations: []notification.Operation{notification.DropIndex}, change: unknown, passes: true},
	} {
		rules := notification.Rules{Namespaces: c.include}
		for _, glob := range c.exclude {
			rules.Namespaces = append(rules.Namespaces, "!"+glob)
		}
		for _, o := range c.operations {
			rules.Operations = append(rules.Operations, string(o))
		}
		filter, err := notification.NewFilter(rules)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got := filter.Passes(c.change); got != c.passes {
			t.Errorf("%s: passes is %t, want %t", c.name, got, c.passes)
		}
	}
}

// TestRules checks the grammar on stored notifications: which of them each set of rules
// selects.
func TestRules(t *testing.T) {
	docs := map[string]string{
		"create":  `{"operation": "CREATE_COLLECTION", "database": "shop", "collection": "payments", "risk": "routine", "actor": {"user": "app@admin", "app": "shop"}}`,
		"drop":    `{"operation": "DROP_COLLECTION", "database": "shop", "collection": "payments", "risk": "destructive", "actor": {"user": "alice@admin", "app": "mongosh"}}`,
		"rename":  `{"operation": "RENAME_COLLECTION", "database": "shop", "collection": "a", "to": "archive.b", "risk": "breaking"}`,
		"several": `{"operation": "DROP_INDEX", "database": "shop", "collection": "!x", "risk": "breaking", "actor": {"users": ["alice@admin", "bob@admin"]}}`,
		"gap":     `{"operation": "HISTORY_GAP", "risk": "unknown"}`,
		"byhand":  `{"operation": "MODIFY_COLLECTION", "collection": "payments"}`,
		"old":     `{"operation": "DROP_DATABASE", "database": "shop"}`,
	}
	for _, c := range []struct {
		rules notification.Rules
		want  string
	}{
		{notification.Rules{}, "byhand create drop gap old rename several"},
		{notification.Rules{Operations: []string{"drop_*"}}, "drop gap old several"},
		{notification.Rules{Operations: []string{"!DROP_*", "!HISTORY_GAP"}}, "byhand create rename"},
		{notification.Rules{Operations: []string{"DROP_*", "!DROP_INDEX"}}, "drop gap old"},
		{notification.Rules{Risk: []string{"destructive"}}, "byhand drop gap old"},
		{notification.Rules{Risk: []string{"destructive", "!unknown"}}, "drop old"},
		{notification.Rules{Risk: []string{"!routine"}}, "byhand drop gap old rename several"},
		{notification.Rules{Namespaces: []string{"archive.*"}}, "gap rename"},
		{notification.Rules{Namespaces: []string{"!archive.*"}}, "byhand create drop gap old several"},
		{notification.Rules{Namespaces: []string{"shop.*", "!shop.payments"}}, "gap old rename several"},
		{notification.Rules{Namespaces: []string{"*.payments"}}, "byhand create drop gap"},
		{notification.Rules{Namespaces: []string{"shop.!x"}}, "gap several"},
		{notification.Rules{User: []string{"alice@*"}}, "drop gap several"},
		{notification.Rules{User: []string{"!alice@*"}}, "byhand create gap old rename several"},
		{notification.Rules{User: []string{"!alice@*", "!bob@*"}}, "byhand create gap old rename"},
		{notification.Rules{App: []string{"mongosh"}}, "drop gap"},
		{notification.Rules{App: []string{"!mongosh"}}, "byhand create gap old rename several"},
	} {
		filter, err := notification.NewFilter(c.rules)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for name, text := range docs {
			var doc bson.Raw
			if err := bson.UnmarshalExtJSON([]byte(text), false, &doc); err != nil {
				t.Fatal(err)
			}
			if filter.Includes(doc) {
				got = append(got, name)
			}
		}
		slices.Sort(got)
		if strings.Join(got, " ") != c.want {
			t.Errorf("%+v selects %v, want %s", c.rules, got, c.want)
		}
	}
}

// TestMisspelled checks that a rule that matches nothing that exists is a mistake.
func TestMisspelled(t *testing.T) {
	for _, r := range []notification.Rules{
		{Operations: []string{"DROP_TABLE"}}, {Operations: []string{"!DROP"}}, {Risk: []string{"high"}}, {Risk: []string{""}},
	} {
		if _, err := notification.NewFilter(r); err == nil {
			t.Errorf("%+v: no error", r)
		}
	}
}

// TestGlobs checks how a name that begins with ! is written.
func TestGlobs(t *testing.T) {
	include, exclude := notification.Globs([]string{"a", "!b", `\!c`, "!!d"})
	if !slices.Equal(include, []string{"a", "!c"}) || !slices.Equal(exclude, []string{"b", "!d"}) {
		t.Errorf("got %q and %q", include, exclude)
	}
}
