package ledger

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// effects returns the effects of one operation that a user sees: a time series has its own name, and collections that the server
// creates for itself are omitted.
func (d *Decoder) effects(op operation) ([]Effect, error) {
	db, coll, _ := strings.Cut(op.NS, ".")
	if db == "admin" || db == "config" || db == "local" {
		return nil, nil
	}
	if op.Op != "c" {
		if coll == "system.views" {
			return d.view(db, op), nil
		}
		return nil, nil
	}
	name := command(op.O)
	target, _ := op.O.Lookup(name).StringValueOK()
	ns := db + "." + strings.TrimPrefix(target, "system.buckets.")
	switch name {
	case "dropDatabase":
		return []Effect{{Operation: "DROP_DATABASE", NS: db}}, nil
	case "renameCollection":
		return d.rename(op.O), nil
	case "drop":
		if target == "system.views" {
			return d.dropViews(db), nil
		}
	case "create":
		if temp, _ := op.O.Lookup("temp").BooleanOK(); temp {
			d.temporary[ns] = true
		}
	}
	// Of ddltail's own collections only drops are reported.
	if d.own[ns] && name != "drop" || d.temporary[ns] || target == "system.views" {
		return nil, nil
	}
	return collectionEffects(name, ns, op.O)
}

// collectionEffects returns the effects of a command on one collection.
func collectionEffects(name, ns string, o bson.Raw) ([]Effect, error) {
	indexName, _ := o.Lookup("name").StringValueOK()
	switch name {
	case "create":
		return []Effect{{Operation: "CREATE_COLLECTION", NS: ns}}, nil
	case "drop":
		return []Effect{{Operation: "DROP_COLLECTION", NS: ns}}, nil
	case "createIndexes":
		return []Effect{{Operation: "CREATE_INDEX", NS: ns, Index: indexName}}, nil
	case "startIndexBuild":
		return nil, nil
	case "commitIndexBuild":
		return indexes("CREATE_INDEX", ns, o)
	case "abortIndexBuild":
		return indexes("ABORT_INDEX_BUILD", ns, o)
	case "dropIndexes":
		index, _ := o.Lookup("index").StringValueOK()
		return []Effect{{Operation: "DROP_INDEX", NS: ns, Index: index}}, nil
	case "collMod":
		index, _ := o.Lookup("index", "name").StringValueOK()
		return []Effect{{Operation: "MODIFY_COLLECTION", NS: ns, Index: index}}, nil
	}
	return nil, fmt.Errorf("unexpected command %q", name)
}

var errNoIndexes = errors.New("an index build without indexes")

func indexes(operation, ns string, o bson.Raw) ([]Effect, error) {
	var build struct {
		Indexes []struct {
			Name string `bson:"name"`
		} `bson:"indexes"`
	}
	if err := bson.Unmarshal(o, &build); err != nil {
		return nil, err
	}
	if len(build.Indexes) == 0 {
		return nil, errNoIndexes
	}
	var effects []Effect
	for _, index := range build.Indexes {
		effects = append(effects, Effect{Operation: operation, NS: ns, Index: index.Name})
	}
	return effects, nil
}

// rename distinguishes renames by users from those that end a $out or a convertToCapped. A rename over an existing collection
// contains the UUID of the target; its drop has no other entry.
func (d *Decoder) rename(o bson.Raw) []Effect {
	from, to := o.Lookup("renameCollection").StringValue(), o.Lookup("to").StringValue()
	_, _, replaces := o.Lookup("dropTarget").BinaryOK()
	switch {
	case d.temporary[from] && strings.Contains(from, ".convertToCapped."):
		return []Effect{{Operation: "CONVERT_TO_CAPPED", NS: to}}
	case d.temporary[from] && replaces:
		return []Effect{{Operation: "REPLACE_COLLECTION", NS: to}}
	case d.temporary[from]:
		return []Effect{{Operation: "CREATE_COLLECTION", NS: to}}
	case replaces:
		return []Effect{{Operation: "DROP_COLLECTION", NS: to}, {Operation: "RENAME_COLLECTION", NS: from, To: to}}
	default:
		return []Effect{{Operation: "RENAME_COLLECTION", NS: from, To: to}}
	}
}

// view returns the effects of a write to system.views, which has a document for each view and each time series. A time series counts
// as a collection.
func (d *Decoder) view(db string, op operation) []Effect {
	ns, _ := op.O.Lookup("_id").StringValueOK()
	if on, _ := op.O.Lookup("viewOn").StringValueOK(); strings.HasPrefix(on, "system.buckets.") {
		return nil
	}
	if d.views[db] == nil {
		d.views[db] = map[string]bool{}
	}
	switch {
	case op.Op == "i":
		d.views[db][ns] = true
		return []Effect{{Operation: "CREATE_VIEW", NS: ns}}
	case op.Op == "u":
		return []Effect{{Operation: "MODIFY_VIEW", NS: ns}}
	case d.views[db][ns]:
		delete(d.views[db], ns)
		return []Effect{{Operation: "DROP_VIEW", NS: ns}}
	default: // of a time series
		return nil
	}
}

// dropViews returns the effects of a drop of system.views, which drops all views.
func (d *Decoder) dropViews(db string) []Effect {
	var effects []Effect
	for _, ns := range slices.Sorted(maps.Keys(d.views[db])) {
		effects = append(effects, Effect{Operation: "DROP_VIEW", NS: ns})
	}
	delete(d.views, db)
	return effects
}
