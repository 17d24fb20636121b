package drift

import (
	"github.com/ddltail/ddltail/internal/migration"
	"github.com/ddltail/ddltail/internal/schema"
)

// Script plans the statements that change the live schema into the declared one, only for the given
// differences.
func Script(open []Difference, declared, live schema.Definitions, policy migration.Policy) migration.Script {
	from, to := schema.Definitions{}, schema.Definitions{}
	for _, d := range open {
		ns := d.Namespace
		if have, ok := live[ns]; ok {
			from[ns] = have
		}
		if want, ok := declared[ns]; ok {
			to[ns] = target(ns, want, live[ns], open)
		}
	}
	return migration.Lead(from, to, policy)
}

// target returns the live definition with the open differences from the declared one.
func target(ns schema.Namespace, want, have schema.Definition, open []Difference) schema.Definition {
	if have.Kind != "" && want.Kind != have.Kind {
		return want // one difference, including its indexes
	}
	out := have
	for _, d := range open {
		if d.Namespace != ns {
			continue
		}
		switch {
		case d.Index == "" && d.Kind == Missing:
			return want
		case d.Index == "":
			out.Kind, out.Options = want.Kind, want.Options
		case d.Kind == Unexpected:
			out = out.WithoutIndex(d.Index)
		default:
			spec := want.Index(d.Index)
			if old := sameButName(spec, want, have); old != nil {
				out = out.WithoutIndex(schema.IndexName(old))
			}
			out = out.WithIndex(spec)
		}
	}
	return out
}
