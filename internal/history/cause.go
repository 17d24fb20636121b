package history

import (
	"context"
	"slices"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/schema"
)

// maxCauses bounds how many of the newest changes of a namespace are looked through.
const maxCauses = 500

// Effect is what a change did to an object.
type Effect int

const (
	// Created: it exists since.
	Created Effect = iota
	// Dropped: it does not exist since.
	Dropped
	// Altered: it is defined as it is since.
	Altered
)

// Cause returns the newest change that had an effect on a namespace or, with its name, an
// index of it; ok is false where the history has none.
func (r Reader) Cause(ctx context.Context, source string, ns schema.Namespace, index string, effect Effect) (found Change, ok bool, err error) {
	q := Query{Source: source, Namespaces: []string{ns.String()}, Limit: maxCauses}
	_, err = r.Each(ctx, q, func(c Change) error {
		if effect.of(c, ns, index) {
			found, ok = c, true
		}
		return nil
	})
	return found, ok, err
}

// of reports whether a change, of a namespace among others, had the effect.
func (e Effect) of(c Change, ns schema.Namespace, index string) bool {
	if c.Index != "" && c.Index != index {
		return false
	}
	arrived := c.To == ns.String()
	return slices.Contains(effects(index != "", arrived)[e], c.Operation)
}

// effects lists the operations that create, drop and alter a namespace or an index. A
// collection that is created, renamed or replaced brings its indexes or loses them.
func effects(index, arrived bool) map[Effect][]notification.Operation {
	came := []notification.Operation{notification.CreateCollection, notification.CreateView, notification.ReplaceCollection}
	went := []notification.Operation{notification.DropCollection, notification.DropView, notification.DropDatabase}
	if arrived {
		came = append(came, notification.RenameCollection)
	} else {
		went = append(went, notification.RenameCollection)
	}
	altered := []notification.Operation{notification.ModifyCollection, notification.ModifyView, notification.ConvertToCapped}
	if index {
		came = append(came, notification.CreateIndex)
		went = append(went, notification.DropIndex, notification.ReplaceCollection, notification.ConvertToCapped, notification.CreateCollection)
		altered = append(altered, notification.CreateIndex)
	}
	return map[Effect][]notification.Operation{Created: came, Dropped: went, Altered: append(altered, came...)}
}
