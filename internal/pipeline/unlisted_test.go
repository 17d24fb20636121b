package pipeline

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ddltail/ddltail/internal/schema"
)

func part(text string) schema.Selection {
	db, coll, _ := strings.Cut(text, ".")
	if coll == "views" {
		return schema.Selection{Namespace: schema.Namespace{Database: db}, Views: true}
	}
	return schema.Selection{Namespace: schema.Namespace{Database: db, Collection: coll}}
}

// TestUnlistedTouch has units affect some namespaces, and sees what is to be listed again.
func TestUnlistedTouch(t *testing.T) {
	for _, c := range []struct{ unlisted, affected, want string }{
		{"shop.a", "shop.a", "shop.a"},
		{"shop.a", "shop.b", ""},
		{"shop.a", "other.a", ""},
		{"shop.a", "shop.a shop.b", "shop.a shop.b"}, // a rename
		{"shop.views", "shop.v", "shop.v shop.views"},
		{"shop.views", "shop", "shop shop.views"}, // a document of system.views that is no view
		{"shop", "shop.b", "shop.b shop"},
		{"shop.a other.a", "shop", "shop"}, // all views of the database dropped
	} {
		var u unlisted
		for text := range strings.FieldsSeq(c.unlisted) {
			u.parts = append(u.parts, schema.Unlisted{Selection: part(text)})
		}
		u.next = time.Now().Add(time.Hour)
		var affected []schema.Namespace
		for text := range strings.FieldsSeq(c.affected) {
			affected = append(affected, part(text).Namespace)
		}
		u.touch(affected)
		u.touch(affected)
		var want []schema.Selection
		for text := range strings.FieldsSeq(c.want) {
			want = append(want, part(text))
		}
		if got := u.due(time.Now()); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s, affected %s: %v, want %v", c.unlisted, c.affected, got, want)
		}
	}
}

// TestUnlistedDue lists all parts again after a while, and replaces what was listed.
func TestUnlistedDue(t *testing.T) {
	now := time.Now()
	u := unlisted{parts: []schema.Unlisted{{Selection: part("shop.a")}, {Selection: part("shop.views")}, {Selection: part("other.b")}}, next: now}
	if got := u.due(now.Add(-time.Second)); len(got) != 0 {
		t.Errorf("due too early: %v", got)
	}
	if got := u.due(now); len(got) != len(u.parts) {
		t.Errorf("due are %v", got)
	}
	left := u.replace([]schema.Selection{part("shop.a"), part("shop.views")}, []schema.Unlisted{{Selection: part("shop.views"), Reason: "still"}})
	if len(left) != 2 || left[0].String() != "other.b" || left[1].Reason != "still" {
		t.Errorf("left are %v", left)
	}
}
