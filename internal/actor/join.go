package actor

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// renameWindow is how far the line of a rename can be from its entry: both belong to one storage transaction.
const renameWindow = 2 * time.Second

// Entry holds what an oplog entry says about itself. Of a transaction it is one operation with the transaction's optime.
type Entry struct {
	TS         bson.Timestamp
	Term       int64
	Wall       time.Time
	Command    string // create, drop, …
	NS, To     string
	Index      string
	Collection UUID // ui
	Build      UUID // indexBuildUUID
	// LastDrop, of a dropDatabase, is the ts of the database's last drop since its previous dropDatabase, zero if there was none.
	LastDrop bson.Timestamp
}

// Actor is who made a change.
type Actor struct {
	User                           string // user@db
	Users                          []string
	App, Driver, Client, Mechanism string
	Mongos, Internal               bool
	Exact                          bool
	Session                        bool // lsid.uid names the user
}

// Outcome says what a search ended with.
type Outcome string

// The outcomes of Find.
const (
	Found       Outcome = "found"
	None        Outcome = "none"        // no line, or no right to conclude from it
	Unconfirmed Outcome = "unconfirmed" // there is a line, its term or its connection is not known yet
	Ambiguous   Outcome = "ambiguous"   // two connections are candidates
)

// Find returns who wrote an entry.
func (l *Log) Find(entry Entry) (Actor, Outcome) {
	var found []*evidence
	waiting := false
	for _, e := range l.evidence {
		if !e.joins(entry) {
			continue
		}
		if e.id == idRenamed && !l.complete(entry.Wall.Add(-renameWindow), entry.Wall.Add(renameWindow)) {
			return Actor{}, None // another rename of the same names may be among the missed lines
		}
		switch {
		case e.id == idRenamed && l.last.Before(entry.Wall.Add(renameWindow)):
			waiting = true // the entry's own line may not have been read
		case e.id != idRegistering && e.term == 0:
			waiting = true // an entry that rolled back can have had the same ts
		case e.id != idRegistering && e.term != entry.Term:
		case !isConnection(e.context):
			// On a secondary a build is registered by the applier.
			if e.id != idRegistering {
				found = append(found, e)
			}
		case e.connection == nil:
			waiting = true
		default:
			found = append(found, e)
		}
	}
	switch {
	case waiting:
		return Actor{}, Unconfirmed
	case len(found) == 0:
		return Actor{}, None
	}
	first := found[0].actor()
	for _, e := range found[1:] {
		if !first.same(e.actor()) {
			return Actor{}, Ambiguous
		}
	}
	return first, Found
}

// joins reports whether a line is about an entry. The term and the connection are checked apart.
func (e *evidence) joins(entry Entry) bool {
	byTime := !entry.TS.IsZero() && e.ts == entry.TS
	sameCollection := e.uuid == entry.Collection && e.uuid != UUID{}
	otherCollection := e.uuid != entry.Collection && e.uuid != UUID{} && entry.Collection != UUID{}
	switch entry.Command {
	case "create":
		if e.ns != entry.NS || otherCollection {
			return false
		}
		return e.id == idIndexDone && byTime && e.build == UUID{} || e.id == idCreated && sameCollection
	case "createIndexes":
		return e.id == idIndexDone && byTime && e.build == UUID{} && e.ns == entry.NS && !otherCollection && e.index == entry.Index
	case "startIndexBuild", "commitIndexBuild", "abortIndexBuild":
		return e.id == idRegistering && e.build == entry.Build && e.build != UUID{} && e.ns == entry.NS && !otherCollection
	case "drop":
		return (e.id == idDropCommitted || e.id == idTableDropped) && byTime && e.ns == entry.NS && !otherCollection
	case "dropIndexes":
		return e.id == idIndexDropped && byTime && e.ns == entry.NS && !otherCollection && e.index == entry.Index
	case "dropDatabase":
		return e.id == idDatabaseDropped && e.ns == entry.NS && !entry.LastDrop.IsZero() && e.ts == entry.LastDrop
	case "renameCollection":
		// Of a rename that drops its target, the line of that drop has the rename's own ts.
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
		return Actor{Internal: true, Exact: true}
	}
	c := e.connection
	a := Actor{App: c.App, Driver: c.Driver, Client: c.Client, Mechanism: c.Mechanism, Mongos: c.Mongos, Exact: true}
	if len(c.Users) == 1 {
		a.User = c.Users[0]
	} else {
		a.Users = c.Users
	}
	a.Internal = a.User == "__system@local"
	return a
}

func (a Actor) same(b Actor) bool {
	return a.User == b.User && slices.Equal(a.Users, b.Users) && a.App == b.App && a.Client == b.Client && a.Internal == b.Internal
}

// isConnection reports whether a context is a client connection's.
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
