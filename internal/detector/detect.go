package detector

import (
	"errors"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/mongosh"
	"github.com/ddltail/ddltail/internal/oplog"
)

// Detector tells what oplog entries changed in the schema.
type Detector struct {
	watch    Watch
	names    names
	commands map[string]command
}

// New makes a Detector that looks at the given namespaces.
func New(watch Watch) Detector {
	d := Detector{watch: watch, names: newNames(), commands: map[string]command{}}
	for _, c := range commands() {
		d.commands[c.name] = c
	}
	return d
}

// Detect gives the changes of one entry in their order, none for most. An entry
// that is not of its command's shape is told as UnknownCommand, like a command
// that is not known at all.
func (d Detector) Detect(e oplog.Entry) []Change {
	if e.Op != oplog.OpCommand || e.FromMigrate {
		return nil
	}
	name, target := e.Command()
	coll, _ := target.StringValueOK()
	known, ok := d.commands[name]
	if !ok {
		return stamp(e, []Change{unknownCommand(e, name, coll)})
	}
	if known.detect == nil {
		return nil
	}
	changes, err := known.detect(entry{Entry: e, db: e.Database(), coll: coll})
	if err != nil {
		return stamp(e, []Change{unknownCommand(e, name, coll)})
	}
	if d.names.temporary(coll) || !d.watch.covers(e.Database(), coll) {
		return nil
	}
	return stamp(e, changes)
}

// stamp gives the changes of one entry what they have in common.
func stamp(e oplog.Entry, changes []Change) []Change {
	for i := range changes {
		changes[i].OpTime = e.OpTime
		changes[i].Wall = e.Wall
		changes[i].UUID = e.UUID
		changes[i].Ordinal = i
	}
	return changes
}

// entry is a command entry with its target taken apart.
type entry struct {
	oplog.Entry
	db, coll string
}

var errShape = errors.New("not of the command's shape")

func createCollection(e entry) ([]Change, error) {
	if e.coll == "" {
		return nil, fmt.Errorf("create: %w", errShape)
	}
	if temp, ok := e.Object.Lookup("temp").BooleanOK(); ok && temp {
		return nil, nil
	}
	opts, err := without(e.Object, "create", "idIndex")
	if err != nil {
		return nil, fmt.Errorf("create: options: %w", err)
	}
	return []Change{{
		Operation:  CreateCollection,
		Database:   e.db,
		Collection: e.coll,
		Statement:  "CREATE COLLECTION " + word(e.coll),
		Mongosh:    mongosh.CreateCollection(e.db, e.coll, opts),
		After:      opts,
	}}, nil
}

func dropCollection(e entry) ([]Change, error) {
	if e.coll == "" {
		return nil, fmt.Errorf("drop: %w", errShape)
	}
	return []Change{{
		Operation:  DropCollection,
		Database:   e.db,
		Collection: e.coll,
		Statement:  "DROP COLLECTION " + word(e.coll),
		Mongosh:    mongosh.DropCollection(e.db, e.coll, nil),
	}}, nil
}

// createIndexes reads an entry whose own fields are the spec. A server of 2025
// held it in a field "spec" for a while.
func createIndexes(e entry) ([]Change, error) {
	spec, ok := e.Object.Lookup("spec").DocumentOK()
	if !ok {
		var err error
		if spec, err = without(e.Object, "createIndexes"); err != nil {
			return nil, fmt.Errorf("createIndexes: %w", err)
		}
	}
	c, err := createIndex(e, spec)
	if err != nil {
		return nil, err
	}
	return []Change{c}, nil
}

func commitIndexBuild(e entry) ([]Change, error) {
	specs, ok := e.Object.Lookup("indexes").ArrayOK()
	if !ok {
		return nil, fmt.Errorf("commitIndexBuild: indexes: %w", errShape)
	}
	values, err := specs.Values()
	if err != nil {
		return nil, fmt.Errorf("commitIndexBuild: indexes: %w", err)
	}
	changes := make([]Change, 0, len(values))
	for _, v := range values {
		spec, ok := v.DocumentOK()
		if !ok {
			return nil, fmt.Errorf("commitIndexBuild: spec: %w", errShape)
		}
		c, err := createIndex(e, spec)
		if err != nil {
			return nil, err
		}
		changes = append(changes, c)
	}
	return changes, nil
}

func createIndex(e entry, spec bson.Raw) (Change, error) {
	name, err := indexName(e, spec)
	if err != nil {
		return Change{}, err
	}
	return Change{
		Operation:  CreateIndex,
		Database:   e.db,
		Collection: e.coll,
		IndexName:  name,
		Statement:  mongosh.ShortCreateIndex(e.coll, spec),
		Mongosh:    mongosh.CreateIndex(e.db, e.coll, spec),
		After:      spec,
	}, nil
}

func dropIndexes(e entry) ([]Change, error) {
	name, ok := e.Object.Lookup("index").StringValueOK()
	if !ok || e.coll == "" {
		return nil, fmt.Errorf("dropIndexes: %w", errShape)
	}
	text := mongosh.DropIndex(e.db, e.coll, name)
	return []Change{{
		Operation:  DropIndex,
		Database:   e.db,
		Collection: e.coll,
		IndexName:  name,
		Statement:  text,
		Mongosh:    text,
		Before:     e.Object2,
	}}, nil
}

func indexName(e entry, spec bson.Raw) (string, error) {
	name, ok := spec.Lookup("name").StringValueOK()
	_, hasKey := spec.Lookup("key").DocumentOK()
	if !ok || !hasKey || e.coll == "" {
		return "", fmt.Errorf("index spec: %w", errShape)
	}
	return name, nil
}

// without copies a document less some of its fields.
func without(doc bson.Raw, names ...string) (bson.Raw, error) {
	elems, err := doc.Elements()
	if err != nil {
		return nil, err
	}
	kept := bson.D{}
	for _, el := range elems {
		if !slices.Contains(names, el.Key()) {
			kept = append(kept, bson.E{Key: el.Key(), Value: el.Value()})
		}
	}
	return bson.Marshal(kept)
}
