package mongosh

import (
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/schema/option"
)

// Modification is a collMod with the state before it.
type Modification struct {
	// Changes are the collMod's parameters, in the form of its oplog entry's o.
	Changes bson.Raw
	// Options are the collection's options before, nil if unknown; they are used if a parameter
	// other than index was changed.
	Options bson.Raw
	// Index is the index's spec before, or the changed part of it, nil if unknown; it is used if
	// index was changed.
	Index bson.Raw
}

// UndoModifyCollection returns the statement that reverts a collMod. There is none if a part of
// it cannot be reverted, or if that could delete documents: by setting or shortening an expiry,
// or by shrinking a capped collection.
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

// oldOption returns the parameter that restores the option, nil if there is none. The granularity
// of a time series can only become coarser.
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

// oldValue returns the value before; if there was none, the value that removes the option, or nil
// if collMod cannot remove it.
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

// oldExpiry returns nil if the old expiry is shorter than the new one.
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

// oldLimit returns nil if the old limit is lower than the new one, or if there was none, which
// collMod cannot restore.
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

// oldIndex returns the index parameter that restores an index's options.
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
	// unique and expireAfterSeconds cannot be removed: they have no Off.
	return oldValue(row, old, had)
}
