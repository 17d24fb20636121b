package drift

import (
	"slices"
	"strings"

	"github.com/ddltail/ddltail/test/ddlgen"
)

// expected returns the ids of the differences between two listings of a server.
func expected(declared, now ddlgen.Schema) []string {
	ids := []string{}
	for ns, want := range declared {
		have := now[ns]
		switch {
		case have == nil:
			ids = append(ids, "missing:"+ns)
		case kindOf(want) != kindOf(have):
			ids = append(ids, "different:"+ns)
		default:
			if want.Options != have.Options {
				ids = append(ids, "different:"+ns)
			}
			ids = append(ids, expectedIndexes(ns, want.Indexes, have.Indexes)...)
		}
	}
	for ns := range now {
		if declared[ns] == nil {
			ids = append(ids, "unexpected:"+ns)
		}
	}
	slices.Sort(ids)
	return ids
}

func expectedIndexes(ns string, want, have map[string]string) []string {
	var ids []string
	renamed := map[string]bool{}
	for name, spec := range want {
		live, ok := have[name]
		kind := "different:"
		if !ok {
			kind = "missing:"
			for other, text := range have {
				if want[other] == "" && without(text, "name") == without(spec, "name") {
					kind, renamed[other] = "different:", true
				}
			}
		}
		if spec != live {
			ids = append(ids, kind+ns+":"+name)
		}
	}
	for name := range have {
		if want[name] == "" && !renamed[name] {
			ids = append(ids, "unexpected:"+ns+":"+name)
		}
	}
	return ids
}

func kindOf(d *ddlgen.Definition) string {
	for _, kind := range []string{"viewOn", "timeseries"} {
		if only(d.Options, kind) != "" {
			return kind
		}
	}
	return "collection"
}

// options splits the output of ddlgen.Canonical, in which quotes within strings are
// escaped.
func options(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimPrefix(text, `{"`), ` {"`)
}

func without(text, option string) string {
	return strings.Join(slices.DeleteFunc(options(text), func(one string) bool { return strings.HasPrefix(one, option+`":`) }), " ")
}

func only(text string, names ...string) string {
	return strings.Join(slices.DeleteFunc(options(text), func(one string) bool {
		return !slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(one, name+`":`) })
	}), " ")
}

// state is the part of a schema that a difference is about.
func (d difference) state(s ddlgen.Schema) string {
	def := s[d.NS]
	if def == nil {
		return "none"
	}
	text := def.Options
	var names []string
	index := d.Index
	for _, detail := range d.Details {
		names = append(names, detail.Option)
		if detail.Option == "name" && d.Index != "" {
			index = strings.ReplaceAll(strings.Trim(*detail.Live, "'"), `\'`, "'")
		}
	}
	if index != "" {
		var ok bool
		if text, ok = def.Indexes[index]; !ok {
			return "none"
		}
	}
	switch {
	case d.Kind != "different":
		return "exists"
	case slices.Contains(names, "type"):
		return kindOf(def)
	}
	return only(text, names...)
}
