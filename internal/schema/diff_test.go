package schema_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/schema"
)

// TestPairs shows which namespaces of two catalogs are the same one. A line is NAME,
// NAME=UUID or view:NAME.
func TestPairs(t *testing.T) {
	for _, c := range []struct {
		why, before, after string
		identity, name     string
	}{
		{"a UUID that kept its name", "a=1", "a=1", "d.a→d.a", "d.a→d.a"},
		{"a UUID under another name is a rename", "a=1", "b=1", "d.a→d.b", "d.a→d.b"},
		{"two names swapped", "a=1 b=2", "a=2 b=1", "d.b→d.a d.a→d.b", "d.b→d.a d.a→d.b"},
		{"another UUID is another collection, but for a plan", "a=1", "a=2", "+d.a -d.a", "d.a→d.a"},
		{"a listing without UUIDs", "a=1", "a", "d.a→d.a", "d.a→d.a"},
		{"a view", "view:a", "view:a", "d.a→d.a", "d.a→d.a"},
		{"a view in place of a collection", "a=1", "view:a", "+d.a -d.a", "d.a→d.a"},
		{"a name that was renamed away is free", "a=1", "a b=1", "+d.a d.a→d.b", "+d.a d.a→d.b"},
		{"dropped and created", "a=1", "b=2", "-d.a +d.b", "-d.a +d.b"},
	} {
		t.Run(c.why, func(t *testing.T) {
			for _, m := range []struct {
				match schema.Match
				want  string
			}{{schema.ByIdentity, c.identity}, {schema.ByName, c.name}} {
				if got := pairs(definitions(c.before), definitions(c.after), m.match); got != m.want {
					t.Errorf("got %q, want %q", got, m.want)
				}
			}
		})
	}
}

func definitions(text string) schema.Definitions {
	out := schema.Definitions{}
	for _, field := range strings.Fields(text) {
		def := schema.Definition{Kind: schema.KindCollection}
		name, isView := strings.CutPrefix(field, "view:")
		if isView {
			def.Kind = schema.KindView
		}
		name, id, _ := strings.Cut(name, "=")
		if id != "" {
			def.UUID = oplog.UUID{0: id[0]}
		}
		out[schema.Namespace{Database: "d", Collection: name}] = def
	}
	return out
}

func pairs(before, after schema.Definitions, match schema.Match) string {
	var out []string
	for _, d := range schema.Pairs(before, after, match) {
		switch {
		case d.From == nil:
			out = append(out, "+"+d.To.Namespace.String())
		case d.To == nil:
			out = append(out, "-"+d.From.Namespace.String())
		default:
			out = append(out, fmt.Sprintf("%s→%s", d.From.Namespace, d.To.Namespace))
		}
	}
	return strings.Join(out, " ")
}
