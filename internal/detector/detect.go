// Package detector turns committed oplog entries into schema changes.
//
// It is a pure function of entries and of the catalog known before them: no I/O, no clock, no
// logger. The server's commands are in one table, commands.
package detector

import (
	"errors"
	"strings"
	"time"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/rawdoc"
	"github.com/ddltail/ddltail/internal/schema"
)

// errMalformed is returned for an entry that does not have its command's structure.
var errMalformed = errors.New("not of the command's shape")

// Detector derives schema changes from oplog entries.
type Detector struct {
	watch     schema.Scope
	generated schema.GeneratedNames
	commands  map[string]command
}

// New creates a Detector for the given namespaces.
func New(watch schema.Scope) Detector {
	d := Detector{watch: watch, generated: schema.NewGeneratedNames(), commands: map[string]command{}}
	for _, c := range commands() {
		d.commands[c.name] = c
	}
	return d
}

// Result is the effect of one unit: the changes to report, in order, and the new version of
// each namespace whose complete definition is known.
type Result struct {
	Changes  []notification.Change
	Versions []schema.Version
	builds   map[oplog.UUID]*Build
}

// Detect returns the changes of a committed unit to the known catalog; versions that were
// expected by then must have been applied (State.AdvanceTo). It does not modify the state, which
// State.Apply does. An operation that does not have its command's structure is reported as
// UnknownCommand, like a command that is not known.
func (d Detector) Detect(u oplog.Unit, known *State) Result {
	w := &detection{
		Detector: d, known: known, optime: u.OpTime, wall: u.Wall,
		touched: map[schema.Namespace]*schema.Definition{}, builds: map[oplog.UUID]*Build{},
	}
	for _, e := range u.Operations {
		w.operation(e)
	}
	return w.result()
}

// Malformed returns the change for an entry that could not be decoded, with its optime.
func Malformed(e oplog.Entry) notification.Change {
	w := &detection{optime: e.OpTime, wall: e.Wall}
	w.unknown(operation{Entry: e})
	return w.result().Changes[0]
}

// detection is the state while one unit is processed.
type detection struct {
	Detector
	known  *State
	optime oplog.OpTime
	wall   time.Time
	// touched holds the namespaces that the unit has changed so far, with nil for dropped ones;
	// order is the order in which they were changed.
	touched map[schema.Namespace]*schema.Definition
	order   []schema.Namespace
	changes []notification.Change
	builds  map[oplog.UUID]*Build
}

// operation is one entry with its parsed target.
type operation struct {
	oplog.Entry
	ns schema.Namespace
	// bucketed is true if the entry names the bucket collection of a time series; ns is then
	// the name of the time series.
	bucketed bool
	// unreported is true for operations that change the catalog but are not reported.
	unreported bool
}

// operation handles one entry. If that fails, the entry has no effect on the catalog and is
// reported as unknown.
func (w *detection) operation(e oplog.Entry) {
	switch e.Op {
	case oplog.OpCommand:
		w.command(e)
	case oplog.OpInsert, oplog.OpUpdate, oplog.OpDelete:
		if db, ok := strings.CutSuffix(e.NS, "."+schema.ViewsCollection); ok {
			w.try(operation{Entry: e, ns: schema.Namespace{Database: db}, unreported: e.FromMigrate}, viewDocument)
		}
	case oplog.OpNoop:
		w.try(operation{Entry: e}, shardingNoop)
	}
}

func (w *detection) command(e oplog.Entry) {
	row, op, ok := w.commandOf(e)
	switch {
	case !ok:
		w.unknown(op)
	case row.handle != nil && !w.onUnusedBuckets(op):
		w.try(op, row.handle)
	}
}

// onUnusedBuckets reports whether an operation is on buckets with the name of a collection,
// which remain if both were created at the same time: servers use the collection.
func (w *detection) onUnusedBuckets(op operation) bool {
	def, known := w.lookup(op.ns)
	return op.bucketed && known && def.Kind == schema.KindCollection
}

// commandOf finds the row of a command entry, and parses its target. It reports whether there
// is such a row.
func (d Detector) commandOf(e oplog.Entry) (command, operation, bool) {
	name, target := e.Command()
	coll, _ := target.StringValueOK()
	op := operation{Entry: e, ns: schema.Namespace{Database: e.Database(), Collection: coll}, unreported: e.FromMigrate}
	row, ok := d.commands[name]
	if buckets, bucketed := strings.CutPrefix(coll, schema.BucketsPrefix); ok && bucketed {
		op.ns.Collection, op.bucketed = buckets, true
	}
	// 9.0 stores a time series under the user's name, but its entries still name the buckets.
	op.bucketed = op.bucketed || rawdoc.Truthy(e.Raw.Lookup("isTimeseries"))
	return row, op, ok
}

func (w *detection) try(op operation, handle func(*detection, operation) error) {
	before := len(w.changes)
	if err := handle(w, op); err != nil {
		w.changes = w.changes[:before]
		w.unknown(op)
	}
}

// lookup returns a namespace's definition, including the unit's changes so far.
func (w *detection) lookup(ns schema.Namespace) (schema.Definition, bool) {
	if d, ok := w.touched[ns]; ok {
		if d == nil {
			return schema.Definition{}, false
		}
		return *d, true
	}
	return w.known.Lookup(ns)
}

// isTemporary reports whether the server created a namespace for itself, according to its
// definition or, if that is unknown, its name.
func (w *detection) isTemporary(ns schema.Namespace) bool {
	if def, known := w.lookup(ns); known {
		return def.Temporary
	}
	return w.generated.CreatedByServer(ns.Collection)
}

// put sets a namespace's definition; nil drops it.
func (w *detection) put(ns schema.Namespace, d *schema.Definition) {
	if !w.watch.Includes(ns) {
		return
	}
	if _, ok := w.touched[ns]; !ok {
		w.order = append(w.order, ns)
	}
	w.touched[ns] = d
}

// emit appends a change, unless its namespace is out of scope. For ddltail's own collections
// only drops and renames are reported, because their content is lost.
func (w *detection) emit(op operation, c notification.Change) {
	inScope := w.watch.Includes(schema.Namespace{Database: c.Database, Collection: c.Collection}) || c.Operation.RemovesCollection() && w.watch.IsOwn(c.Namespace())
	if op.unreported || !inScope {
		return
	}
	if c.UUID.IsZero() {
		c.UUID = op.UUID
	}
	w.changes = append(w.changes, c)
}

func (w *detection) result() Result {
	r := Result{Changes: w.changes, builds: w.builds}
	for i := range r.Changes {
		r.Changes[i].OpTime, r.Changes[i].Wall, r.Changes[i].Ordinal = w.optime, w.wall, i
	}
	for _, ns := range w.order {
		r.Versions = append(r.Versions, schema.Version{Namespace: ns, OpTime: w.optime, Wall: w.wall, Definition: w.touched[ns]})
	}
	return r
}
