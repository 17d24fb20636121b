package actor

import (
	"slices"
	"strconv"
	"strings"
)

// Connection is a client connection.
type Connection struct {
	Name                           string   // connN
	Users                          []string // user@db
	App, Driver, Client, Mechanism string
	Mongos                         bool // the client is connected through a mongos
}

// known is a connection with the log position since which its users cannot have changed.
type known struct {
	Connection
	epoch     int
	confirmed bool
	began     bool // its first line was read
	described bool // the line with its metadata was read
}

// confirm adopts the server's reply. Metadata that were read in a line have priority: the line has the names in the form that the client
// sent, and the reply can be older.
func (c *known) confirm(reply Connection) {
	read := c.Connection
	c.Connection, c.confirmed = reply, true
	if c.described {
		c.App, c.Driver, c.Mongos = read.App, read.Driver, read.Mongos
	}
}

func (l *Log) connection(line Line) {
	name := line.Context
	if line.ID == idAccepted {
		name = "conn" + line.attr.text("connectionId")
	}
	if !isConnection(name) {
		return
	}
	switch line.ID {
	case idAccepted:
		if number, err := strconv.ParseUint(line.attr.text("connectionId"), 10, 64); err == nil && !l.numbers.add(number) {
			l.mix()
			return
		}
		l.quiet = false
		l.put(name, &known{epoch: l.seq, began: true, Connection: Connection{Name: name, Client: line.attr.text("remote")}})
	case idEnded:
		l.end(name)
	case idMetadata:
		c := l.get(name)
		if !c.began {
			c = l.suspectQuiet(name)
		}
		c.describe(line.attr)
	default:
		l.authenticated(l.get(name), line)
	}
}

// numbers are those of the connections that one process accepted. It counts them and never reuses one; listeners with their own threads
// may log a few out of order. The zero value has none.
type numbers struct {
	highest uint64
	seen    uint64 // a bit for each of the 64 numbers up to the highest
}

// add reports whether a number can be one of the same process.
func (n *numbers) add(number uint64) bool {
	if number > n.highest {
		n.seen = n.seen<<(number-n.highest) | 1
		n.highest = number
		return true
	}
	bit := uint64(1) << (n.highest - number)
	if bit == 0 || n.seen&bit != 0 {
		return false
	}
	n.seen |= bit
	return true
}

// mix ends the use of a log in which two processes write: no line shows which of two connections with one number it belongs to.
func (l *Log) mix() { *l = Log{mixed: true, role: l.role, version: l.version, last: l.last} }

// Mixed reports whether more than one process writes the log. Then it has no actors.
func (l *Log) Mixed() bool { return l.mixed }

// suspectQuiet is called for a connection whose first line is missing. With systemLog.quiet the server logs neither connections
// nor authentications, so that a change of user would not be noticed: no connection is confirmed until one is logged.
func (l *Log) suspectQuiet(name string) *known {
	if !l.quiet {
		l.quiet, l.gap, l.connections = true, l.seq, nil
	}
	return l.get(name)
}

// end removes a connection but records its end: a reply of the server that is still in transit may be older.
func (l *Log) end(name string) {
	delete(l.connections, name)
	if len(l.ended) >= maxEnded {
		l.ended, l.forgotten = nil, l.seq
	}
	if l.ended == nil {
		l.ended = map[string]int{}
	}
	l.ended[name] = l.seq
}

func (l *Log) authenticated(c *known, line Line) {
	user, db := line.attr.text("principalName"), line.attr.text("authenticationDatabase")
	if line.ID != idAuthenticated {
		user, db = line.attr.text("user"), line.attr.text("db")
		if _, named := line.attr["user"]; !named && !line.cut {
			return // before 7.0 a line of higher verbosity, in addition to the one with the user
		}
	}
	c.epoch = l.seq
	if user == "" || db == "" { // the line is truncated
		c.Users, c.confirmed, c.began = nil, false, false
		return
	}
	// A second user of the same database replaces the first; a user of another database is added.
	c.Users = slices.DeleteFunc(slices.Clone(c.Users), func(other string) bool { return strings.HasSuffix(other, "@"+db) })
	c.Users = append(c.Users, user+"@"+db)
	if c.Mechanism = line.attr.text("mechanism"); line.ID == idCertificate {
		c.Mechanism = "MONGODB-X509"
	}
	// If the start of a connection was missed, other users may be authenticated on it, too.
	c.confirmed = c.began
}

// describe reads the client's metadata, which is chosen by the client and not trusted.
func (c *known) describe(attr object) {
	doc := attr.object("doc")
	c.App = doc.object("application").text("name")
	c.Driver = strings.TrimSpace(doc.object("driver").text("name") + " " + doc.object("driver").text("version"))
	_, c.Mongos = doc["mongos"]
	c.described = true
}

func (l *Log) get(name string) *known {
	if c, ok := l.connections[name]; ok {
		return c
	}
	c := &known{epoch: l.gap, Connection: Connection{Name: name}}
	l.put(name, c)
	return c
}

func (l *Log) put(name string, c *known) {
	if l.connections == nil {
		l.connections = map[string]*known{}
	}
	l.connections[name] = c
}
