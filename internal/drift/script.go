package drift

import (
	"github.com/ddltail/ddltail/internal/migration"
	"github.com/ddltail/ddltail/internal/schema"
)

// Script plans the statements that lead from the live schema to the declared one, for the
// given differences alone.
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

// target is the live definition with only the open differences taken from the declared one.
func target(ns schema.Namespace, want, have schema.Definition, open []Difference) schema.Definition {
	if have.Kind != "" && want.Kind != have.Kind {
		return want // one difference, its indexes too
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
