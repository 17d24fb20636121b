package mongosh

import "go.mongodb.org/mongo-driver/v2/bson"

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
// A validator comes and goes with validationLevel "strict" and validationAction
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

// oldOption is the parameter that brings the option back, nil for none.
func oldOption(change field, options object) node {
	old, had := options.get(change.key)
	switch change.key {
	case "validator":
		return orElse(old, had, object{})
	case "validationLevel":
		return orElse(old, had, text("strict"))
	case "validationAction":
		return orElse(old, had, text("error"))
	case "recordPreImages":
		return orElse(old, had, boolean(false))
	case "changeStreamPreAndPostImages":
		return orElse(old, had, object{{"enabled", boolean(false)}})
	case "expireAfterSeconds":
		return oldExpiry(change, old, had)
	case "cappedSize":
		return oldLimit(change, options, "size")
	case "cappedMax":
		return oldLimit(change, options, "max")
	}
	// A time series' granularity only grows; what else there may be is unknown.
	return nil
}

func orElse(old bson.RawValue, had bool, standard node) node {
	if had {
		return raw(old)
	}
	return standard
}

// oldExpiry is nil where the old expiry is shorter than the new one.
func oldExpiry(change field, old bson.RawValue, had bool) node {
	if !had {
		return text("off")
	}
	before, ok := wholeNumber(old)
	after, now := changedNumber(change)
	if !ok || !now || before < after {
		return nil
	}
	return integer(before)
}

// oldLimit is nil where the old limit is lower than the new one, or was none,
// which collMod cannot say.
func oldLimit(change field, options object, option string) node {
	old, had := options.get(option)
	before, ok := wholeNumber(old)
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
	switch change.key {
	case "hidden", "prepareUnique":
		return orElse(old, had, boolean(false))
	case "expireAfterSeconds":
		if had {
			return oldExpiry(change, old, had)
		}
	}
	// An index stays unique, and a TTL index one.
	return nil
}
