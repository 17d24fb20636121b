package mongosh

import "go.mongodb.org/mongo-driver/v2/bson"

// view is the definition of a view in listCollections and system.views.
type view struct {
	on        string
	pipeline  node
	collation node // nil for none
}

func viewOf(definition bson.Raw) (v view, ok bool) {
	fields, ok := parse(definition)
	if !ok {
		return v, false
	}
	on, _ := fields.get("viewOn")
	if v.on, ok = on.StringValueOK(); !ok {
		return v, false
	}
	v.pipeline = list{}
	if pipeline, has := fields.get("pipeline"); has {
		v.pipeline = raw(pipeline)
	}
	if collation, has := fields.get("collation"); has {
		v.collation = minimalCollation(collation)
	}
	return v, true
}

// CreateView returns the statement that creates a view with a definition: viewOn, pipeline and
// collation, if any; other fields are ignored.
//
//	db.getSiblingDB('banking_db').createView('large', 'payments', [{$match: {amount: {$gt: 1000}}}])
func CreateView(db, name string, definition bson.Raw) string {
	v, ok := viewOf(definition)
	if !ok {
		return ""
	}
	t := longTarget(db, name)
	arguments := list{text(name), text(v.on), v.pipeline}
	if v.collation != nil {
		arguments = append(arguments, object{{"collation", v.collation}})
	}
	return t.call(t.db, "createView", arguments...)
}

// ModifyView returns the statement that gives a view a definition; its collation cannot change.
// With the definition before, the statement reverts a change.
func ModifyView(db, name string, definition bson.Raw) string {
	v, ok := viewOf(definition)
	if !ok {
		return ""
	}
	t := longTarget(db, name)
	return t.command(object{{"collMod", text(name)}, {"viewOn", text(v.on)}, {"pipeline", v.pipeline}})
}

// DropView returns the statement that drops a view. CreateView with its definition reverts it.
func DropView(db, name string) string {
	return DropCollection(db, name, nil)
}

// UndoCreateView returns the statement that drops a view, but not another object that may have
// its name by then.
func UndoCreateView(db, name string) string {
	drop := DropView(db, name)
	if drop == "" {
		return ""
	}
	t := longTarget(db, name)
	infos := t.call(t.db, "getCollectionInfos", object{{"name", text(name)}, {"type", text("view")}})
	return infos + ".length === 1 && " + drop
}
