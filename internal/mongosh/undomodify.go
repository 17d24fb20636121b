package mongosh

import (
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/schema/option"
)

// Modification is a collMod and what was there before it.
type Modification struct {
	// Changes are the collMod's parameters, as its oplog entry's o has them.
	Changes bson.Raw
	// Options are the collection's options before, nil where unknown; they
	// matter where a parameter other than index was changed.
	Options bson.Raw
	// Index is the index's spec before, or the part of it that was changed,
	// nil where unknown; it matters where index was changed.
	Index bson.Raw
}

// UndoModifyCollection takes a collMod back. There is no statement where part
// of it cannot be taken back, or where doing so could delete documents: by
// setting or shortening an expiry, by making a capped collection smaller.
//
// A validator is added and removed with validationLevel "strict" and validationAction
// "error" in the catalog, the defaults; collMod cannot remove those again.
func UndoModifyCollection(db, coll string, m Modification) string {
	changes, ok := collModParameters(m.Changes)
	if !ok || len(changes) == 0 {
		return ""
	}
	options, optionsKnown := parse(m.Options)
	undo := object{{"collMod", text(coll)}}
	for _, change := range changes {
		var old node
		if change.key == "index" {
			old = m.oldIndex()
		} else if optionsKnown {
			old = oldOption(change, options)
		}
		if old == nil {
			return ""
		}
		undo = append(undo, field{change.key, old})
	}
	return longTarget(db, coll).command(undo)
}

// oldOption returns the parameter that restores the option, nil where there is none.
// A time series' granularity only grows.
func oldOption(change field, options object) node {
	row := option.CollectionParameter(change.key)
	old, had := options.get(row.Name)
	switch {
	case row.CappedOnly:
		return oldLimit(change, options, row)
	case row.Limit:
		return oldExpiry(change, row, old, had)
	}
	return oldValue(row, old, had)
}

// oldValue returns the value before, the one that removes the option where there was
// none, and nil for an option that collMod cannot remove.
func oldValue(row option.Option, old bson.RawValue, had bool) node {
	off, removable := row.OffValue()
	switch {
	case !removable:
		return nil
	case had:
		return raw(row.Accepted(old))
	}
	kind, data, err := bson.MarshalValue(off)
	if err != nil {
		return nil
	}
	return raw(bson.RawValue{Type: kind, Value: data})
}

// oldExpiry is nil where the old expiry is shorter than the new one.
func oldExpiry(change field, row option.Option, old bson.RawValue, had bool) node {
	if !had {
		return text("off")
	}
	before, ok := row.Int64(old)
	after, now := changedNumber(change)
	if !ok || !now || before < after {
		return nil
	}
	return integer(before)
}

// oldLimit is nil where the old limit is lower than the new one, or was none,
// which collMod cannot say.
func oldLimit(change field, options object, row option.Option) node {
	old, had := options.get(row.Name)
	before, ok := row.Int64(old)
	after, now := changedNumber(change)
	unlimited := now && after <= 0
	if !had || !ok || !now || unlimited || before < after {
		return nil
	}
	return integer(before)
}

func changedNumber(change field) (int64, bool) {
	switch v := change.value.(type) {
	case integer:
		return int64(v), true
	case raw:
		return wholeNumber(bson.RawValue(v))
	}
	return 0, false
}

// oldIndex is the index parameter that brings an index's options back.
func (m Modification) oldIndex() node {
	before, known := parse(m.Index)
	all, _ := parse(m.Changes)
	changed, _ := all.get("index")
	fields, ok := nested(changed)
	if !known || !ok {
		return nil
	}
	var undo object
	for _, f := range fields {
		if f.key == "name" || f.key == "keyPattern" {
			undo = append(undo, f)
			continue
		}
		old := oldIndexOption(f, before)
		if old == nil {
			return nil
		}
		undo = append(undo, field{f.key, old})
	}
	return undo
}

func oldIndexOption(change field, before object) node {
	old, had := before.get(change.key)
	row := option.Index(change.key)
	if row.Limit && had {
		return oldExpiry(change, row, old, had)
	}
	// A unique index remains unique, and a TTL index a TTL index: those have no Off.
	return oldValue(row, old, had)
}
