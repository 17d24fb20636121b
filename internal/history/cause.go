package history

import (
	"context"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

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

// Sought is an object, and what was done to it.
type Sought struct {
	Namespace schema.Namespace
	// Index is the name of an index; empty for the namespace itself.
	Index  string
	Effect Effect
	// Options are the options that were altered; none for the whole definition.
	Options []string
}

// Cause returns the newest change that had an effect on an object; ok is false where the
// history has none.
func (r Reader) Cause(ctx context.Context, source string, s Sought) (found Change, ok bool, err error) {
	// A name that begins with ! would exclude.
	glob := strings.Replace(s.Namespace.String(), "!", "*", 1)
	t := tracker{Sought: s}
	_, err = r.Each(ctx, Query{Source: source, Namespaces: []string{glob}, Limit: maxCauses}, func(c Change) error {
		// A * in a name selects others too.
		if c.Namespace == s.Namespace.String() || c.To == s.Namespace.String() {
			t.step(c)
		}
		return nil
	})
	return t.found, t.ok, err
}

// existence is what is known of an object while its changes are followed.
type existence int

const (
	notKnown existence = iota
	exists
	absent
)

// tracker follows an object through the changes of its namespace, in their order.
type tracker struct {
	Sought
	state existence
	found Change
	ok    bool
}

// step follows one change. A change that leaves the object as it was had no effect.
func (t *tracker) step(c Change) {
	was := t.state
	var altered bool
	switch {
	case c.Index != "" && c.Index != t.Index:
		return
	case t.Index != "":
		altered = t.stepIndex(c)
	default:
		altered = t.stepNamespace(c)
	}
	effects := map[Effect]bool{
		Created: was != exists && t.state != absent && altered,
		// An index that was never created is not dropped by the creation of its collection.
		Dropped: was != absent && t.state == absent && (was == exists || c.Operation != notification.CreateCollection),
		Altered: altered,
	}
	if effects[t.Effect] {
		t.found, t.ok = c, true
	}
}

// stepNamespace returns whether the namespace is defined in another way since.
func (t *tracker) stepNamespace(c Change) bool {
	switch c.Operation {
	case notification.CreateCollection, notification.CreateView:
		t.state = exists
		return true
	case notification.DropCollection, notification.DropView, notification.DropDatabase:
		t.state = absent
	case notification.RenameCollection:
		t.state = absent
		if c.To == t.Namespace.String() {
			t.state = exists
			return true
		}
	case notification.ReplaceCollection:
		before, known := c.Raw.Lookup("before", "options").DocumentOK()
		after, _ := c.Raw.Lookup("after", "options").DocumentOK()
		if known {
			t.state = exists
			return t.differ(before, after)
		}
		was := t.state
		t.state = exists
		return was != exists || t.Effect == Altered
	case notification.ModifyCollection, notification.ModifyView, notification.ConvertToCapped:
		t.state = exists
		return t.differFrom(c)
	}
	return false
}

// stepIndex returns whether the index is defined in another way since. A collection that is
// renamed, replaced or made capped brings its indexes or loses them.
func (t *tracker) stepIndex(c Change) bool {
	switch c.Operation {
	case notification.CreateIndex:
		// It did not exist, or there would be no change.
		t.state = exists
		return true
	case notification.ModifyCollection:
		if c.Index != "" {
			t.state = exists
			return t.differFrom(c)
		}
	case notification.DropIndex, notification.DropCollection, notification.DropDatabase, notification.CreateCollection, notification.ConvertToCapped:
		t.state = absent
	case notification.RenameCollection:
		t.state = absent
		if c.To == t.Namespace.String() {
			t.state = notKnown
			return true
		}
	case notification.ReplaceCollection:
		before, after := indexIn(c.Raw.Lookup("before", "indexes"), t.Index), indexIn(c.Raw.Lookup("after", "indexes"), t.Index)
		if t.state = exists; after == nil {
			t.state = absent
		}
		return after != nil && (before == nil || t.differ(before, after))
	}
	return false
}

// indexIn finds an index in an array of specs.
func indexIn(specs bson.RawValue, name string) bson.Raw {
	array, _ := specs.ArrayOK()
	values, _ := array.Values()
	for _, v := range values {
		if spec, ok := v.DocumentOK(); ok && schema.IndexName(spec) == name {
			return spec
		}
	}
	return nil
}

// differFrom reports whether a change altered one of the options; true where that is not
// known.
func (t *tracker) differFrom(c Change) bool {
	before, hadBefore := c.Raw.Lookup("before").DocumentOK()
	after, hasAfter := c.Raw.Lookup("after").DocumentOK()
	return !hadBefore || !hasAfter || t.differ(before, after)
}

func (t *tracker) differ(before, after bson.Raw) bool {
	differing := schema.DifferingOptions
	if t.Index != "" {
		differing = schema.DifferingIndex
	}
	names := differing(before, after)
	if len(t.Options) == 0 {
		return len(names) > 0
	}
	return slices.ContainsFunc(names, func(name string) bool { return slices.Contains(t.Options, name) })
}
