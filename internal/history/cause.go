package history

import (
	"context"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/schema"
)

// maxCauses bounds how many of the newest changes of a namespace are searched.
const maxCauses = 500

// Effect is what a change did to an object.
type Effect int

const (
	// Created: the object exists since the change.
	Created Effect = iota
	// Dropped: the object does not exist since the change.
	Dropped
	// Altered: the object has its current definition since the change.
	Altered
)

// Sought is an object, and the effect of the change to find.
type Sought struct {
	Namespace schema.Namespace
	// Index is the name of an index; empty for the namespace itself.
	Index  string
	Effect Effect
	// Options are the altered options; none for the whole definition.
	Options []string
	// Until is when the effect was observed; zero for now.
	Until time.Time
}

// Cause returns the newest change that had an effect on an object; ok is false if the history
// has none.
func (r Reader) Cause(ctx context.Context, source string, s Sought) (found Change, ok bool, err error) {
	// A leading ! would exclude.
	glob := strings.Replace(s.Namespace.String(), "!", "*", 1)
	t := tracker{Sought: s}
	_, err = r.Each(ctx, Query{Source: source, Namespaces: []string{glob}, Until: s.Until, Limit: maxCauses}, func(c Change) error {
		// A * in the name also matches other names.
		if c.Namespace == s.Namespace.String() || c.To == s.Namespace.String() {
			t.step(c)
		}
		return nil
	})
	return t.found, t.ok, err
}

// existence is whether an object exists after a change, if known.
type existence int

const (
	notKnown existence = iota
	exists
	absent
)

// tracker applies the changes of a namespace to an object, in order.
type tracker struct {
	Sought
	state existence
	found Change
	ok    bool
}

// step applies one change. A change that does not alter the object had no effect.
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
		// The creation of a collection does not drop an index that was never created.
		Dropped: was != absent && t.state == absent && (was == exists || c.Operation != notification.CreateCollection),
		Altered: altered,
	}
	if effects[t.Effect] {
		t.found, t.ok = c, true
	}
}

// stepNamespace applies a change to the namespace, and reports whether its definition changed.
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

// stepIndex applies a change to the index, and reports whether its definition changed. A
// collection that is renamed or replaced has its own indexes; one converted to capped loses
// them.
func (t *tracker) stepIndex(c Change) bool {
	switch c.Operation {
	case notification.CreateIndex:
		// The index did not exist before, otherwise there would be no change.
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

// differFrom reports whether a change altered one of the options; true if not known.
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
