// Package privileges has the table of privileges that ddltail needs, reads a user's
// privileges, and reports which are missing and how to grant them.
package privileges

import (
	"slices"

	"github.com/ddltail/ddltail/internal/store"
)

// Role is a set of commands that share a user. deploy/replicaset/create-user.js creates a
// user for each.
type Role string

// The roles.
const (
	Run     Role = "run"     // run, status and drift
	Listen  Role = "listen"  // listen, setup, notify, redeliver and cleanup
	History Role = "history" // history
)

// Deployment is where a privilege is needed.
type Deployment int

const (
	// Tailed is the replica set at MONGODB_URI.
	Tailed Deployment = iota
	// Sink is the deployment at SINK_URI, which holds ddltail's own collections.
	Sink
)

// Effect is what a missing privilege means.
type Effect int

const (
	// Required ends the command with exit code 2.
	Required Effect = iota
	// RequiredOnce ends a first run with exit code 2; later it is a warning.
	RequiredOnce
	// Configured is a warning: something that is configured does not work. `status` is not
	// healthy.
	Configured
	// Optional limits what ddltail knows. It is logged once, and `status` is healthy.
	Optional
)

// Need is a row of the table.
type Need struct {
	Privileges []Privilege
	Deployment Deployment
	Effect     Effect
	// By describes what needs the privileges, Without what happens if they are missing.
	By, Without string

	role    Role
	applies func(Use) bool
}

// Use describes what a process does, which determines the privileges that it needs. The zero
// value is `run` with its defaults, on a server of unknown version.
type Use struct {
	Role Role
	// Command narrows the role Listen to one of its commands; empty is all of them.
	Command string
	// Database holds ddltail's own collections.
	Database string
	// MajorVersion is the major version of the server to tail.
	MajorVersion int
	// HistoryTTL is true if old history is removed.
	HistoryTTL bool
	// Actor is true if ACTOR is set.
	Actor bool
	// GetLog is true if ACTOR has getlog.
	GetLog bool
	// NoQueue is true if nothing is written to the queue: SINKS lacks mongodb.
	NoQueue bool
}

// Needs returns the rows of the table that apply on a deployment.
func (u Use) Needs(d Deployment) []Need {
	if u.Role == "" {
		u.Role = Run
	}
	var needs []Need
	for _, n := range Table(u.Database) {
		if n.role == u.Role && n.Deployment == d && (n.applies == nil || n.applies(u)) {
			needs = append(needs, n)
		}
	}
	return needs
}

// Table returns the table for a database of ddltail's own collections.
func Table(database string) []Need {
	own := func(collection string, actions ...string) Privilege {
		return Privilege{on(database, collection), actions}
	}
	return append([]Need{
		{
			By: "`run`", Without: "exit 2", role: Run, Deployment: Tailed,
			Privileges: []Privilege{{on("local", "oplog.rs"), []string{"find"}}},
		},
		{
			By: "`run`", Without: "exit 2", role: Run, Deployment: Sink,
			// Without update and remove on them, a stolen login cannot rewrite the history.
			Privileges: []Privilege{
				own(store.Checkpoints, "find", "insert", "update", "createIndex"),
				own(store.History, "find", "insert", "createIndex"),
				own(store.Catalog, "find", "insert", "createIndex"),
			},
		},
		{
			By: "`run` with the sink `mongodb`", Without: "exit 2", role: Run, Deployment: Sink,
			Privileges: []Privilege{own(store.Notifications, "find", "insert", "update", "createIndex")},
			applies:    func(u Use) bool { return !u.NoQueue },
		},
		{
			By: "`run`", role: Run, Deployment: Tailed, Effect: RequiredOnce,
			Without: "exit 2 at a first run; later a warning and `ddltail_privileges_missing`: gaps are reported without differences",
			Privileges: []Privilege{
				{cluster(), []string{"listDatabases"}},
				{on("", ""), []string{"listCollections", "listIndexes"}},
			},
		},
		{
			By: "`run`, from MongoDB 5.0 on", role: Run, Deployment: Tailed, Effect: Optional,
			Without:    "indexes of time series are known only from the oplog and are not compared; healthy",
			Privileges: []Privilege{{buckets(), []string{"listIndexes"}}},
			// 4.4 has no time series and refuses the resource.
			applies: func(u Use) bool { return u.MajorVersion >= 5 },
		},
		{
			By: "`run`", role: Run, Deployment: Tailed, Effect: Optional,
			Without:    "the replica set's id is not known and cannot identify a recreated set; healthy, logged once",
			Privileges: []Privilege{{on("local", "system.replset"), []string{"find"}}},
		},
		{
			By: "`run`", role: Run, Deployment: Tailed, Effect: Optional,
			Without:    "whether the set is a shard is not known; healthy, logged once",
			Privileges: []Privilege{{on("admin", "system.version"), []string{"find"}}},
		},
		{
			By: "`run` with `DDLTAIL_HISTORY_TTL`", role: Run, Deployment: Sink, Effect: Configured,
			Without:    "a warning and `ddltail_retention_errors_total`: old history is not removed",
			Privileges: []Privilege{own(store.History, "remove"), own(store.Catalog, "remove")},
			applies:    func(u Use) bool { return u.HistoryTTL },
		},
	}, slices.Concat(actors(own), consumers(own))...)
}

// actors returns the rows of `run` with ACTOR.
func actors(own func(string, ...string) Privilege) []Need {
	return []Need{
		{
			By: "`run` with `getlog` in `DDLTAIL_ACTOR`", role: Run, Deployment: Tailed, Effect: Configured,
			Without:    "a warning: no actors from that source",
			Privileges: []Privilege{{cluster(), []string{"getLog"}}},
			applies:    func(u Use) bool { return u.GetLog },
		},
		{
			By: "`run` with `DDLTAIL_ACTOR`", role: Run, Deployment: Tailed, Effect: Configured,
			Without:    "a warning: the users of connections opened before the lines read from the log are not known",
			Privileges: []Privilege{{cluster(), []string{"inprog"}}},
			applies:    func(u Use) bool { return u.Actor },
		},
		{
			By: "`run` with `DDLTAIL_ACTOR`", role: Run, Deployment: Tailed, Effect: Configured,
			Without:    "a warning: the session of a transaction does not identify the user",
			Privileges: []Privilege{{on("", ""), []string{"viewUser"}}},
			applies:    func(u Use) bool { return u.Actor },
		},
		{
			By: "`run` with `DDLTAIL_ACTOR`", role: Run, Deployment: Sink, Effect: Required, Without: "exit 2",
			Privileges: []Privilege{own(store.Actors, "find", "insert")},
			applies:    func(u Use) bool { return u.Actor },
		},
		{
			By: "`run` with `DDLTAIL_ACTOR` and `DDLTAIL_HISTORY_TTL`", role: Run, Deployment: Sink, Effect: Configured,
			Without:    "a warning and `ddltail_retention_errors_total`: actors are not removed with their changes",
			Privileges: []Privilege{own(store.Actors, "remove")},
			applies:    func(u Use) bool { return u.HistoryTTL && u.Actor },
		},
	}
}

// consumers returns the rows of the commands that connect only to SINK_URI.
func consumers(own func(string, ...string) Privilege) []Need {
	only := func(command string) func(Use) bool {
		return func(u Use) bool { return u.Command == "" || u.Command == command }
	}
	return []Need{
		{
			By: "`listen`", Without: "exit 2", role: Listen, Deployment: Sink, applies: only("listen"),
			Privileges: []Privilege{own(store.Notifications, "find", "insert", "update", "createIndex")},
		},
		{
			By: "`listen`", role: Listen, Deployment: Sink, Effect: Optional, applies: only("listen"),
			Without:    "new notifications are found by polling; healthy",
			Privileges: []Privilege{own(store.Notifications, "changeStream")},
		},
		{
			By: "`listen`", role: Listen, Deployment: Sink, Effect: Optional, applies: only("listen"),
			Without:    "an actor that was found after its notification was written is not delivered; healthy",
			Privileges: []Privilege{own(store.Actors, "find")},
		},
		{
			By: "`listen`", role: Listen, Deployment: Sink, Effect: Configured, applies: only("listen"),
			Without:    "a warning: processed notifications are not removed",
			Privileges: []Privilege{own(store.Notifications, "remove"), own(store.Checkpoints, "find")},
		},
		{
			By: "`setup`", Without: "exit 2", role: Listen, Deployment: Sink, applies: only("setup"),
			Privileges: []Privilege{own(store.Notifications, "insert", "update", "createIndex")},
		},
		{
			By: "`notify`", Without: "exit 2", role: Listen, Deployment: Sink, applies: only("notify"),
			Privileges: []Privilege{own(store.Notifications, "insert")},
		},
		{
			By: "`cleanup`", Without: "exit 2", role: Listen, Deployment: Sink, applies: only("cleanup"),
			Privileges: []Privilege{own(store.Notifications, "find", "remove"), own(store.Checkpoints, "find")},
		},
		{
			By: "`redeliver`", Without: "exit 2", role: Listen, Deployment: Sink, applies: only("redeliver"),
			Privileges: []Privilege{
				own(store.Notifications, "find", "insert", "update"), own(store.History, "find"), own(store.Catalog, "find"), own(store.Checkpoints, "find"),
			},
		},
		{
			By: "`history`", Without: "exit 2", role: History, Deployment: Sink,
			Privileges: []Privilege{own(store.History, "find"), own(store.Catalog, "find"), own(store.Checkpoints, "find")},
		},
		{
			By: "`history`", role: History, Deployment: Sink, Effect: Optional,
			Without:    "an actor that was found after its notification was written is not shown; healthy",
			Privileges: []Privilege{own(store.Actors, "find")},
		},
	}
}
