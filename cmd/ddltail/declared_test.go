package main

import (
	"testing"

	"github.com/ddltail/ddltail/internal/checkpoint"
	"github.com/ddltail/ddltail/internal/schema"
)

// TestNeverListed has what is not known of a declared namespace that the catalog does not have.
func TestNeverListed(t *testing.T) {
	collection, view := schema.Definition{Kind: schema.KindCollection}, schema.Definition{Kind: schema.KindView}
	for _, c := range []struct {
		name     string
		unlisted []checkpoint.Unlisted
		live     bool
		want     []string
	}{
		{"everything is listed", nil, false, nil},
		{"one collection", []checkpoint.Unlisted{{Database: "shop", Collection: "orders"}}, false, []string{"orders"}},
		{"the views of the database", []checkpoint.Unlisted{{Database: "shop", Views: true}}, false, []string{"totals"}},
		{"the database", []checkpoint.Unlisted{{Database: "shop"}}, false, []string{"orders", "totals"}},
		{"another database", []checkpoint.Unlisted{{Database: "bank"}}, false, nil},
		{"listed before", []checkpoint.Unlisted{{Database: "shop", Collection: "orders"}}, true, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			declared := schema.Definitions{
				{Database: "shop", Collection: "orders"}: collection, {Database: "shop", Collection: "totals"}: view,
			}
			live := schema.Definitions{}
			if c.live {
				live[schema.Namespace{Database: "shop", Collection: "orders"}] = collection
			}
			got := neverListed(c.unlisted, declared, live)
			for _, name := range c.want {
				if !got[schema.Namespace{Database: "shop", Collection: name}] {
					t.Errorf("%s counts as known", name)
				}
			}
			if len(got) != len(c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}
