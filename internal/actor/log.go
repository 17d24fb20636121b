package actor

import (
	"maps"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// maxGaps and maxEnded bound the recorded gaps and ended connections.
const (
	maxGaps  = 1_000
	maxEnded = 50_000
)

// MetadataID is the id of the line with a client's metadata.
const MetadataID = idMetadata

// The ids of the lines that are used. The message of an id changes between versions, its meaning does not.
const (
	idAccepted      = 22943
	idMetadata      = 51800
	idAuthenticated = 20250   // up to 6.0
	idCertificate   = 20429   // up to 6.0, for MONGODB-X509
	idAuthLater     = 5286306 // from server source: "Successfully authenticated", fields user and db
	idEnded         = 22944
	idRestarted     = 20698
	idStarting      = 4615611
	idListening     = 23015
	idElected       = 21450
	idStateChange   = 21358

	idCreated       = 20320
	idIndexDone     = 20345
	idRegistering   = 20438
	idIndexDropped  = 22206
	idTableDropped  = 22214
	idDropCommitted = 20314
	idRenamed       = 20319

	idDatabaseEmptied = 20342   // has the optime of the last drop
	idDatabaseDropped = 20336   // after the entry
	idModified        = 5324200 // from 5.0: a collMod, before it begins; without its database
)

// State is the state that the server process reported at one time.
type State struct {
	Connections []Connection
	Primary     bool
	Term        int64
	Version     int // the major version of the server
}

// Log is the log of one member, in order, also over restarts. The zero value is an empty log.
type Log struct {
	seq         int
	termSince   int   // position since which the term cannot have changed
	term        int64 // 0: not known, or not primary
	gap         int   // position of the last missed line or restart
	connections map[string]*known
	ended       map[string]int // position of the end of each connection that ended after the mark of the last Confirm
	forgotten   int            // position up to which ends are no longer known
	gaps        []interval     // the times of lines that were not read
	last        time.Time      // how far the log was read
	role        role
	quiet       bool // see suspectQuiet
	numbers     numbers
	mixed       bool // see mix
	version     int
	store       store
}

// noTerm is the term for lines of a member that was not the primary; no entry has it.
const noTerm = -1

// role is the member's state according to the lines.
type role int

const (
	roleUnknown role = iota
	// roleStarting is from a start of the process to its first change of state.
	roleStarting
	rolePrimary
	roleSecondary
)

// interval is a time between two lines in which others were missed. A zero end means that the log does not continue yet.
type interval struct{ from, to time.Time }

// Position returns a mark for Confirm. Call it before the server is queried.
func (l *Log) Position() int { return l.seq }

// Missed records that lines were missed here: connections and the term are not used until they are confirmed.
func (l *Log) Missed() {
	l.seq++
	l.gap, l.termSince, l.term, l.role = l.seq, l.seq, 0, roleUnknown
	l.connections, l.ended, l.numbers = nil, nil, numbers{}
	if n := len(l.gaps); n == 0 || !l.gaps[n-1].to.IsZero() {
		l.gaps = append(l.gaps, interval{from: l.last})
	}
	if len(l.gaps) > maxGaps { // merge the oldest ones into one gap
		l.gaps = slices.Clone(l.gaps[len(l.gaps)/2:])
		l.gaps[0].from = time.Time{}
	}
}

// restart records that a new process was started, whose connections are numbered from 1. No line of it is older than this one.
func (l *Log) restart(at time.Time) {
	l.gap, l.termSince, l.term, l.role = l.seq, l.seq, 0, roleStarting
	l.connections, l.ended, l.numbers = nil, nil, numbers{}
	if n := len(l.gaps); n == 0 {
		l.gaps = []interval{{to: time.Unix(0, 0)}}
	} else if l.gaps[n-1] == (interval{}) {
		l.gaps[n-1].to = time.Unix(0, 0)
	}
	l.ReadUntil(at)
}

// ReadUntil records that every line up to a time, on the server's clock, has been added.
func (l *Log) ReadUntil(at time.Time) {
	if len(l.gaps) == 0 {
		l.gaps = []interval{{}}
	}
	if last := &l.gaps[len(l.gaps)-1]; last.to.IsZero() {
		last.to = at
	}
	if at.After(l.last) {
		l.last = at
	}
}

// complete reports whether no line between two times was missed.
func (l *Log) complete(from, to time.Time) bool {
	for _, gap := range l.gaps {
		if !gap.from.After(to) && (gap.to.IsZero() || !gap.to.Before(from)) {
			return false
		}
	}
	return len(l.gaps) > 0
}

// Add adds one raw line.
func (l *Log) Add(raw []byte) {
	if l.mixed {
		return
	}
	if isTorn(raw) {
		l.Missed()
		return
	}
	id, ok := LineID(raw)
	if !ok || !counts(id) {
		return
	}
	line, ok := ParseLine(raw)
	if !ok {
		// A relevant line that cannot be parsed may have been a re-authentication.
		l.Missed()
		return
	}
	l.seq++
	if start := id == idRestarted || id == idStarting || id == idListening; start {
		l.restart(line.Time)
		return
	}
	l.ReadUntil(line.Time)
	switch id {
	case idElected, idStateChange:
		l.transition(line)
	case idAccepted, idMetadata, idAuthenticated, idCertificate, idAuthLater, idEnded:
		l.connection(line)
	default:
		l.collect(line)
	}
}

func counts(id int) bool {
	switch id {
	case idAccepted, idMetadata, idAuthenticated, idCertificate, idAuthLater, idEnded, idRestarted, idStarting, idListening, idElected, idStateChange,
		idCreated, idIndexDone, idRegistering, idIndexDropped, idTableDropped, idDropCommitted, idRenamed, idDatabaseEmptied, idDatabaseDropped,
		idModified:
		return true
	}
	return false
}

func (l *Log) transition(line Line) {
	switch {
	case line.ID == idElected:
		l.term, l.termSince, l.role = number(line.attr.text("term")), l.seq, rolePrimary
	case line.attr.text("newState") != "PRIMARY":
		l.term, l.termSince, l.role = 0, l.seq, roleSecondary
	case l.role != rolePrimary:
		l.term, l.termSince, l.role = 0, l.seq, roleUnknown
	}
}

// Confirm applies a state that the server reported after the mark was taken, once the lines up to that reply have been added. It is
// used only for connections that have not changed since the mark: a later authentication may have been before or after the reply.
// Marks must be confirmed in the order in which they were taken.
func (l *Log) Confirm(mark int, s State) {
	if mark < l.forgotten || mark < l.gap || l.mixed {
		return
	}
	l.version = s.Version
	switch {
	case l.termSince > mark:
	case s.Primary:
		l.term, l.role = s.Term, rolePrimary
		l.store.setTerm(s.Term, l.termSince)
	default:
		l.role = roleSecondary
		l.store.setTerm(noTerm, l.termSince)
	}
	if l.quiet {
		s.Connections = nil
	}
	for _, answer := range s.Connections {
		if _, ended := l.ended[answer.Name]; ended || !isConnection(answer.Name) {
			continue
		}
		if c := l.get(answer.Name); c.epoch <= mark && !c.confirmed {
			c.confirm(answer)
			l.store.confirm(c, l.gap)
		}
	}
	maps.DeleteFunc(l.ended, func(_ string, at int) bool { return at <= mark })
}

// lastDrop returns the ts of the last drop of a context's dropDatabase, zero if it dropped nothing.
func (l *Log) lastDrop(context, db string) bson.Timestamp {
	for _, e := range slices.Backward(l.store.all) {
		if e.seq <= l.gap {
			break
		}
		if e.context == context {
			if e.id == idDatabaseEmptied && e.ns == db {
				return e.ts
			}
			break
		}
	}
	return bson.Timestamp{}
}

func (l *Log) collect(line Line) {
	a := line.attr
	e := &evidence{
		seq: l.seq, id: line.ID, at: line.Time, context: line.Context, term: l.term,
		ns: a.text("namespace"), index: a.text("index"), uuid: a.uuid("uuid"),
	}
	switch line.ID {
	case idIndexDone:
		e.build, e.uuid, e.ts = a.uuid("buildUUID"), a.uuid("collectionUUID"), a.timestamp("commitTimestamp")
	case idRegistering:
		e.build, e.uuid = a.uuid("buildUUID"), a.uuid("collectionUUID")
	case idModified:
		command := a.object("cmdObj")
		e.ns, e.change = command.text("collMod"), modification{parameters: command, cut: line.cut}
	case idRenamed:
		e.ns, e.to = a.text("fromName"), a.text("toName")
	case idDatabaseEmptied:
		e.ns, e.ts = a.text("db"), a.object("mostRecentDropOpTime").timestamp("ts")
	case idDatabaseDropped:
		e.ns = a.text("db")
		e.ts = l.lastDrop(line.Context, e.ns)
	case idDropCommitted:
		e.ts = a.object("dropOpTime").timestamp("ts")
		// On a secondary the applier's line also has the entry's term.
		if isConnection(line.Context) {
			e.term = number(a.object("dropOpTime").text("t"))
		}
	case idIndexDropped, idTableDropped:
		if e.ts = a.timestamp("dropTime"); e.ts.IsZero() {
			e.ts = a.timestamp("commitTimestamp")
		}
	}
	if isConnection(line.Context) {
		c := l.get(line.Context)
		e.epoch = c.epoch
		if c.confirmed {
			connection := c.Connection
			e.connection = &connection
		}
	}
	switch {
	case e.term == 0 && l.role == roleSecondary:
		return // the line of a secondary belongs to no entry
	case l.role == roleStarting && !isConnection(line.Context):
		return // after a crash a server applies again what its last checkpoint lacks, and logs the same optimes
	case line.ID == idRegistering && !isConnection(line.Context):
		return // from the applier, or a resumed build
	}
	l.store.add(e)
}

// CanHave reports whether the log can have, or still get, a line for an entry: its time was not missed, and the member is not known to
// be a secondary now.
func (l *Log) CanHave(entry Entry) bool {
	if l.mixed {
		return false
	}
	if l.last.Before(entry.Wall) {
		return l.role != roleSecondary
	}
	return l.role != roleSecondary && l.complete(entry.Wall, entry.Wall)
}

// Ahead returns how many relevant lines are later than a time.
func (l *Log) Ahead(at time.Time) int { return l.store.newer(at) }

// IsSecondary reports whether the member is known not to be the primary now.
func (l *Log) IsSecondary() bool { return l.role == roleSecondary }

// Version returns the major version of the server, zero while it is not known.
func (l *Log) Version() int { return l.version }
