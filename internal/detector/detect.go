// Package detector turns committed oplog entries into schema changes.
//
// It is a pure function of entries and of the catalog known before them: no I/O,
// no clock, no logger. What it knows of the server's commands stands in one
// table, commands.
package detector

import (
	"errors"
	"strings"
	"time"

	"github.com/ddltail/ddltail/internal/oplog"
)

// errShape says that an entry is not of its command's shape.
var errShape = errors.New("not of the command's shape")

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

// Result is what one unit did: the changes to tell, in their order, and the new
// version of each namespace whose whole definition is known.
type Result struct {
	Changes  []Change
	Versions []Version
	builds   map[oplog.UUID]*Build
}

// Detect tells what a committed unit did to what was known before it; versions
// that were expected by then must have been applied (Catalog.AdvanceTo). It changes
// nothing: Catalog.Apply does. An operation that is not of its command's shape is
// told as UnknownCommand, like a command that is not known at all.
func (d Detector) Detect(u oplog.Unit, known *Catalog) Result {
	w := &work{
		Detector: d, known: known, optime: u.OpTime, wall: u.Wall,
		touched: map[Namespace]*Definition{}, builds: map[oplog.UUID]*Build{},
	}
	for _, e := range u.Operations {
		w.operation(e)
	}
	return w.result()
}

// Malformed tells an entry that could not be decoded, with the optime it has.
func Malformed(e oplog.Entry) Change {
	w := &work{optime: e.OpTime, wall: e.Wall}
	w.unknown(operation{Entry: e})
	return w.result().Changes[0]
}

// work is a unit in the midst of being detected.
type work struct {
	Detector
	known  *Catalog
	optime oplog.OpTime
	wall   time.Time
	// touched holds the namespaces that the unit has changed so far, nil where it
	// dropped them; order is theirs.
	touched map[Namespace]*Definition
	order   []Namespace
	changes []Change
	builds  map[oplog.UUID]*Build
}

// operation is one entry with its target taken apart.
type operation struct {
	oplog.Entry
	ns Namespace
	// bucketed says that the entry names a time series' buckets; ns is then the
	// name that users know.
	bucketed bool
	// silent operations change the catalog and are told to nobody.
	silent bool
}

// operation handles one entry. One that fails leaves nothing behind but the word
// that it was there.
func (w *work) operation(e oplog.Entry) {
	switch e.Op {
	case oplog.OpCommand:
		w.command(e)
	case oplog.OpInsert, oplog.OpUpdate, oplog.OpDelete:
		if db, ok := strings.CutSuffix(e.NS, "."+viewsCollection); ok {
			w.try(operation{Entry: e, ns: Namespace{Database: db}, silent: e.FromMigrate}, viewDocument)
		}
	case oplog.OpNoop:
		w.try(operation{Entry: e}, shardingNoop)
	}
}

func (w *work) command(e oplog.Entry) {
	row, op, ok := w.commandOf(e)
	switch {
	case !ok:
		w.unknown(op)
	case row.handle != nil:
		w.try(op, row.handle)
	}
}

// commandOf finds the row of a command entry, and takes its target apart. It says
// whether there is such a row.
func (d Detector) commandOf(e oplog.Entry) (command, operation, bool) {
	name, target := e.Command()
	coll, _ := target.StringValueOK()
	op := operation{Entry: e, ns: Namespace{Database: e.Database(), Collection: coll}, silent: e.FromMigrate}
	row, ok := d.commands[name]
	if buckets, bucketed := strings.CutPrefix(coll, BucketsPrefix); ok && bucketed {
		op.ns.Collection, op.bucketed = buckets, true
	}
	// 9.0 stores a time series under the user's name, and still writes of its buckets.
	op.bucketed = op.bucketed || truthy(e.Raw.Lookup("isTimeseries"))
	return row, op, ok
}

func (w *work) try(op operation, handle func(*work, operation) error) {
	told := len(w.changes)
	if err := handle(w, op); err != nil {
		w.changes = w.changes[:told]
		w.unknown(op)
	}
}

// lookup gives a namespace's definition as the unit has it so far.
func (w *work) lookup(ns Namespace) (Definition, bool) {
	if d, ok := w.touched[ns]; ok {
		if d == nil {
			return Definition{}, false
		}
		return *d, true
	}
	return w.known.Lookup(ns)
}

// put sets a namespace's definition; nil drops it.
func (w *work) put(ns Namespace, d *Definition) {
	if !w.watch.Follows(ns) {
		return
	}
	if _, ok := w.touched[ns]; !ok {
		w.order = append(w.order, ns)
	}
	w.touched[ns] = d
}

// tell adds a change, unless its namespace is nobody's to hear of. Of ddltail's own
// collections only the drop is told: what was stored is gone.
func (w *work) tell(op operation, c Change) {
	heard := w.watch.covers(c.Database, c.Collection) || c.Operation == DropCollection && w.watch.owns(c.Namespace())
	if op.silent || !heard {
		return
	}
	if c.UUID.IsZero() {
		c.UUID = op.UUID
	}
	w.changes = append(w.changes, c)
}

func (w *work) result() Result {
	r := Result{Changes: w.changes, builds: w.builds}
	for i := range r.Changes {
		r.Changes[i].OpTime, r.Changes[i].Wall, r.Changes[i].Ordinal = w.optime, w.wall, i
	}
	for _, ns := range w.order {
		r.Versions = append(r.Versions, Version{Namespace: ns, OpTime: w.optime, Wall: w.wall, Definition: w.touched[ns]})
	}
	return r
}
