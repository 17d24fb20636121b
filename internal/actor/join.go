package actor

import (
	"strconv"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// renameWindow is the maximum time between a line and its entry where the join depends on the time. The line and the entry of a rename
// belong to one storage transaction.
const renameWindow = 2 * time.Second

// indexWindow is the maximum time between an index's entry and its line, where the line has the optime of the command's last index: a
// server that is short of memory or disk can stop for seconds in between. Another command's line in this time is not taken for it, since the
// entry's own line comes first (Log.first), or the term is another one.
const indexWindow = time.Minute

// namedBefore is how long before an entry another line with the same name makes a join by name ambiguous; modifiedBefore is how much
// of that time must have been read.
const (
	namedBefore    = time.Minute
	modifiedBefore = 10 * time.Second
)

// Entry holds the fields of an oplog entry that identify it. For a transaction it is one operation with the transaction's optime.
type Entry struct {
	TS         bson.Timestamp
	Term       int64
	Wall       time.Time
	Command    string // create, drop, …
	NS, To     string
	Index      string
	Collection UUID // ui
	Build      UUID // indexBuildUUID
	// Change, for a collMod, is the entry's o as Extended JSON.
	Change string
	// Logged is true if the log was read to its end after the entry had become readable: a line that is written before its entry is
	// then known.
	Logged bool
	// LastDrop, for a dropDatabase, is the ts of the database's last drop since its previous dropDatabase, zero if there was none.
	LastDrop bson.Timestamp
}

// Outcome is the result of a search.
type Outcome string

// The outcomes of Find.
const (
	Found       Outcome = "found"
	None        Outcome = "none"        // no line, or none that is conclusive
	Unconfirmed Outcome = "unconfirmed" // there is a line, but its term or its connection is not known yet
	Ambiguous   Outcome = "ambiguous"   // two connections are candidates
)

// Leaves reports whether the server logs a line for such an entry at default verbosity.
func (entry Entry) Leaves(version int) bool {
	switch entry.Command {
	case "create", "createIndexes", "startIndexBuild", "commitIndexBuild", "abortIndexBuild", "drop", "dropIndexes", "dropDatabase",
		"renameCollection":
		return true
	case "collMod":
		return version == 0 || version >= 5
	}
	return false
}

// keys returns the keys for an exact join of an entry.
func (entry Entry) keys() []key {
	switch entry.Command {
	case "create", "renameCollection":
		return []key{{ts: entry.TS}, {uuid: entry.Collection}}
	case "startIndexBuild", "commitIndexBuild", "abortIndexBuild":
		return []key{{uuid: entry.Build}}
	case "dropDatabase":
		return []key{{ts: entry.LastDrop}}
	case "createIndexes":
		return []key{indexKey(idIndexDone, entry.NS, entry.Index)}
	case "dropIndexes":
		return []key{indexKey(idIndexDropped, entry.NS, entry.Index)}
	}
	return []key{{ts: entry.TS}}
}

// first returns the first line for an index at or after an entry, among those that join it. If one command creates or drops several
// indexes, each has an entry, and all their lines have the optime of the last one. A later line can belong to another command only if
// the entry's own line, which is written first, was missed.
func (l *Log) first(candidates []*evidence, entry Entry) []*evidence {
	var first []*evidence
	for _, e := range candidates {
		switch {
		case !e.joins(entry):
		case len(first) == 0 || e.ts.Before(first[0].ts):
			first = []*evidence{e}
		case e.ts == first[0].ts:
			first = append(first, e)
		}
	}
	if len(first) > 0 && first[0].ts != entry.TS && !l.complete(entry.Wall, first[0].at) {
		return nil
	}
	return first
}

// Find returns the actor of an entry.
func (l *Log) Find(entry Entry) (Actor, Outcome) {
	var s search
	candidates := l.store.candidates(entry.keys()...)
	if entry.Command == "createIndexes" || entry.Command == "dropIndexes" {
		candidates = l.first(candidates, entry)
	}
	for _, e := range candidates {
		if !e.joins(entry) {
			continue
		}
		if e.id == idRenamed && !l.complete(entry.Wall.Add(-renameWindow), l.until(entry, renameWindow)) {
			continue // another rename with the same names may be among the missed lines
		}
		if e.id == idRenamed && !entry.Logged && l.last.Before(entry.Wall.Add(renameWindow)) {
			s.waiting = true // the entry's own line may not have been read
			continue
		}
		s.consider(e, entry)
	}
	if found, outcome := s.result(); outcome != None {
		return found, outcome
	}
	return l.findByName(entry)
}

// until returns the end of the time after an entry whose lines must have been read.
func (l *Log) until(entry Entry, window time.Duration) time.Time {
	if entry.Logged {
		return entry.Wall
	}
	return entry.Wall.Add(window)
}

// findByName returns the actor of an entry without an exact join, if exactly one line is a candidate by name and time.
func (l *Log) findByName(entry Entry) (Actor, Outcome) {
	var s search
	switch entry.Command {
	case "collMod":
		// The line comes before the entry and has no database.
		_, collection, _ := strings.Cut(entry.NS, ".")
		collection = strings.TrimPrefix(collection, "system.buckets.")
		change := parseModification(entry.Change)
		for _, e := range l.store.candidates(key{id: idModified, name: collection}, key{id: idModified, name: "system.buckets." + collection}) {
			if age := entry.Wall.Sub(e.at); age >= 0 && age <= namedBefore && e.change.allows(change) {
				s.consider(e, entry)
			}
		}
		if s.empty() {
			return Actor{}, None
		}
		if !entry.Logged && l.last.Before(entry.Wall) {
			return Actor{}, Unconfirmed
		}
		if !l.complete(entry.Wall.Add(-modifiedBefore), entry.Wall) {
			return Actor{}, None
		}
	case "dropDatabase":
		// The line comes after the entry.
		for _, e := range l.store.candidates(key{id: idDatabaseDropped, name: entry.NS}) {
			if e.at.Sub(entry.Wall).Abs() <= renameWindow {
				s.consider(e, entry)
			}
		}
		if s.empty() {
			return Actor{}, None
		}
		if l.last.Before(entry.Wall.Add(renameWindow)) {
			return Actor{}, Unconfirmed
		}
		if !l.complete(entry.Wall.Add(-renameWindow), entry.Wall.Add(renameWindow)) {
			return Actor{}, None
		}
	}
	found, outcome := s.result()
	found.Exact = false
	return found, outcome
}

// search collects the candidates for one entry.
type search struct {
	found   []*evidence
	waiting bool
}

func (s *search) empty() bool { return len(s.found) == 0 && !s.waiting }

// consider adds a candidate, unless its term excludes it.
func (s *search) consider(e *evidence, entry Entry) {
	switch {
	case e.id != idRegistering && e.term == 0:
		s.waiting = true // an entry that was rolled back can have had the same ts
	case e.id != idRegistering && e.term != entry.Term:
	case !isConnection(e.context):
		// On a secondary a build is registered by the applier.
		if e.id != idRegistering {
			s.found = append(s.found, e)
		}
	case e.connection == nil:
		s.waiting = true
	default:
		s.found = append(s.found, e)
	}
}

func (s *search) result() (Actor, Outcome) {
	switch {
	case s.waiting:
		return Actor{}, Unconfirmed
	case len(s.found) == 0:
		return Actor{}, None
	}
	first := s.found[0].actor()
	for _, e := range s.found[1:] {
		sameConnection := e.context == s.found[0].context && e.epoch == s.found[0].epoch
		if !sameConnection && !first.same(e.actor()) {
			return Actor{}, Ambiguous
		}
	}
	return first, Found
}

// joins reports whether a line belongs to an entry. The term and the connection are checked separately.
func (e *evidence) joins(entry Entry) bool {
	byTime := !entry.TS.IsZero() && e.ts == entry.TS
	inCommand := !entry.TS.IsZero() && !e.ts.Before(entry.TS) && e.at.Sub(entry.Wall) <= indexWindow
	sameCollection := e.uuid == entry.Collection && e.uuid != UUID{}
	otherCollection := e.uuid != entry.Collection && e.uuid != UUID{} && entry.Collection != UUID{}
	switch entry.Command {
	case "create":
		if e.ns != entry.NS || otherCollection {
			return false
		}
		return e.id == idIndexDone && byTime && e.build == UUID{} || e.id == idCreated && sameCollection
	case "createIndexes":
		return e.id == idIndexDone && inCommand && e.build == UUID{} && e.ns == entry.NS && !otherCollection && e.index == entry.Index
	case "startIndexBuild", "commitIndexBuild", "abortIndexBuild":
		return e.id == idRegistering && e.build == entry.Build && e.build != UUID{} && e.ns == entry.NS && !otherCollection
	case "drop":
		return (e.id == idDropCommitted || e.id == idTableDropped) && byTime && e.ns == entry.NS && !otherCollection
	case "dropIndexes":
		return e.id == idIndexDropped && inCommand && e.ns == entry.NS && !otherCollection && e.index == entry.Index
	case "dropDatabase":
		return e.id == idDatabaseDropped && e.ns == entry.NS && !entry.LastDrop.IsZero() && e.ts == entry.LastDrop
	case "renameCollection":
		// For a rename that drops its target, the line of that drop has the rename's ts.
		if byTime && (e.id == idDropCommitted || e.id == idTableDropped) && e.ns == entry.To {
			return true
		}
		return e.id == idRenamed && sameCollection && e.ns == entry.NS && e.to == entry.To &&
			e.at.Sub(entry.Wall).Abs() <= renameWindow
	}
	return false
}

func (e *evidence) actor() Actor {
	if e.connection == nil {
		return Actor{Internal: true, Evidence: ByLog, Exact: true}
	}
	c := e.connection
	a := Actor{App: c.App, Driver: c.Driver, Client: c.Client, Mechanism: c.Mechanism, Evidence: ByLog, Exact: true}
	if c.Mongos {
		a.Via = ViaMongos
	}
	if len(c.Users) == 1 {
		a.User = c.Users[0]
	} else {
		a.Users = c.Users
	}
	a.Internal = a.User == "__system@local"
	return a
}

// isConnection reports whether a context is that of a client connection.
func isConnection(context string) bool {
	digits, found := strings.CutPrefix(context, "conn")
	if !found {
		return false
	}
	_, err := strconv.ParseUint(digits, 10, 64)
	return err == nil
}

func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
