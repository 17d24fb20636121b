package actor

import (
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// maxEvidence bounds the lines that one Log keeps.
const maxEvidence = 20_000

// evidence is the content of one line about one oplog entry.
type evidence struct {
	seq, epoch int
	id         int
	at         time.Time
	context    string
	ns, to     string
	index      string
	uuid       UUID
	build      UUID
	ts         bson.Timestamp
	change     modification // for a collMod
	term       int64        // 0: not known
	connection *Connection  // nil: not confirmed
}

// key joins lines and entries: an optime, a UUID, or a name with the id of the line.
type key struct {
	ts   bson.Timestamp
	uuid UUID
	id   int
	name string
}

// keys returns the keys of a line.
func (e *evidence) keys() []key {
	var keys []key
	switch e.id {
	case idRegistering:
		keys = append(keys, key{uuid: e.build})
	case idCreated, idRenamed:
		keys = append(keys, key{uuid: e.uuid})
	case idIndexDone, idIndexDropped:
		keys = append(keys, key{ts: e.ts}, indexKey(e.id, e.ns, e.index))
	case idModified, idDatabaseDropped:
		keys = append(keys, key{ts: e.ts}, key{id: e.id, name: e.ns})
	default:
		keys = append(keys, key{ts: e.ts})
	}
	return slices.DeleteFunc(keys, func(k key) bool { return k == key{} })
}

func indexKey(id int, ns, index string) key { return key{id: id, name: ns + "\x00" + index} }

// store holds the newest evidence and finds it by its keys. The zero value is empty.
type store struct {
	all []*evidence // in the order of the log
	by  map[key][]*evidence
	// open holds, by context, the lines of connections that are not confirmed; termless holds lines without a term.
	open     map[string][]*evidence
	termless []*evidence
}

func (s *store) add(e *evidence) {
	if len(s.all) >= maxEvidence {
		s.rebuild(slices.Clone(s.all[maxEvidence/10:]))
	}
	s.all = append(s.all, e)
	s.register(e)
}

func (s *store) rebuild(all []*evidence) {
	*s = store{all: all}
	for _, e := range all {
		s.register(e)
	}
}

func (s *store) register(e *evidence) {
	if s.by == nil {
		s.by, s.open = map[key][]*evidence{}, map[string][]*evidence{}
	}
	for _, k := range e.keys() {
		s.by[k] = append(s.by[k], e)
	}
	if e.connection == nil && isConnection(e.context) {
		s.open[e.context] = append(s.open[e.context], e)
	}
	if e.term == 0 {
		s.termless = append(s.termless, e)
	}
}

// confirm sets the connection of the lines of a context that wait for it and were written in the same epoch.
func (s *store) confirm(c *known, after int) {
	if s.open[c.Name] == nil {
		return
	}
	s.open[c.Name] = slices.DeleteFunc(s.open[c.Name], func(e *evidence) bool {
		if e.epoch != c.epoch || e.seq <= after {
			return false
		}
		connection := c.Connection
		e.connection = &connection
		return true
	})
	if len(s.open[c.Name]) == 0 {
		delete(s.open, c.Name)
	}
}

// setTerm sets the term of the lines after a position.
func (s *store) setTerm(term int64, after int) {
	s.termless = slices.DeleteFunc(s.termless, func(e *evidence) bool {
		if e.seq <= after {
			return false
		}
		e.term = term
		return true
	})
}

// newer returns how many lines are later than a time.
func (s *store) newer(at time.Time) int {
	first, _ := slices.BinarySearchFunc(s.all, at, func(e *evidence, at time.Time) int { return e.at.Compare(at) })
	return len(s.all) - first
}

// candidates returns the distinct lines with one of the keys.
func (s *store) candidates(keys ...key) []*evidence {
	var found []*evidence
	for _, k := range keys {
		if k == (key{}) {
			continue
		}
		for _, e := range s.by[k] {
			if !slices.Contains(found, e) {
				found = append(found, e)
			}
		}
	}
	return found
}
