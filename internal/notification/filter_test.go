package notification_test

import (
	"testing"

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
		if got := notification.NewFilter(c.include, c.exclude, c.operations).Passes(c.change); got != c.passes {
			t.Errorf("%s: passes is %t, want %t", c.name, got, c.passes)
		}
	}
}
