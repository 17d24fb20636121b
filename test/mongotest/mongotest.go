// Package mongotest runs real MongoDB servers on loopback, for tests and for the demo.
//
// A test asks for a replica set or a standalone server and gets one that is ready; it is gone when the test ends:
//
//	set := mongotest.NewReplicaSet(t, mongotest.Options{Members: 3})
//	client := mongotest.Connect(t, set.URI())
//
// The tests of a whole package share one set, started once, like this:
//
//	var set *mongotest.ReplicaSet
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(mongotest.Main{Tests: m, Set: &set}) }
//
// or, without goleak, os.Exit(mongotest.Main{Tests: m, Set: &set}.Run()).
//
// Programs that are no tests use [StartReplicaSet] and [StartStandalone] and call Stop. Should Stop never come, because the
// program panics or is killed, the servers and their folder vanish all the same (see procgroup).
//
// The server is $MONGOD, else mongod on PATH, else one from .cache at the module's root, which scripts/mongod.sh fetches with its
// progress on stderr. [Options].Version asks for a certain one from .cache.
//
// Every wait has the caller's context for its end, and one of two minutes besides. The methods of one set and of its members are
// for one goroutine at a time, but for Kill, Pause and Resume.
package mongotest

import (
	"slices"
	"strconv"
	"time"
)

// RootUser and RootPassword are the credentials of the user that Options.Auth makes. The password needs escaping in a URI.
const (
	RootUser     = "root"
	RootPassword = "p@ss/w:rd%é" //nolint:gosec // of a server on loopback that lives as long as a test
)

// patience is how long any single wait may last.
const patience = 2 * time.Minute

// Options say what to start. The zero value is a replica set of one member without authentication, or such a standalone server.
type Options struct {
	// Members is the number of data-bearing members; 0 is 1.
	Members int
	// Arbiter adds an arbiter to the members.
	Arbiter bool
	// Auth makes the servers demand authentication (members among each other with a keyFile) and creates the root user, who is
	// then the user of every URI.
	Auth bool
	// OplogSizeMB is the oplog's size in MB; 0 is the server's default, at least 990. 16 rolls over in seconds.
	OplogSizeMB int
	// Version asks for a server from .cache, such as "4.4.2"; empty is the default server. The names of the files in
	// scripts/mongod are the versions to be had.
	Version string
	// Args are further arguments of every mongod, such as "--setParameter", "enableTestCommands=1".
	Args []string
	// LogFile makes every mongod open its log itself, so that [Member.RotateLog] can rename it.
	LogFile bool
	// Uninitiated leaves the members running without a configuration, as they are before rs.initiate.
	Uninitiated bool
	// ElectionTimeout is how long a lost primary goes unnoticed; 0 is the server's default of 10 s. 2 s suits tests of failover.
	ElectionTimeout time.Duration
	// Clock is the wall clock of the members of a set; the zero value is the machine's.
	Clock Clock
	// Name is the set's name; empty is "rs0".
	Name string
}

func (o Options) name() string {
	if o.Name == "" {
		return "rs0"
	}
	return o.Name
}

func (o Options) dataMembers() int { return max(o.Members, 1) }

func (o Options) args() []string {
	var args []string
	if !slices.Contains(o.Args, "--bind_ip") {
		args = append(args, "--bind_ip", "127.0.0.1", "--nounixsocket")
	}
	args = append(args,
		"--wiredTigerCacheSizeGB", "0.25",
		"--setParameter", "diagnosticDataCollectionEnabled=false")
	if o.OplogSizeMB > 0 {
		args = append(args, "--oplogSize", strconv.Itoa(o.OplogSizeMB))
	}
	return append(args, o.Args...)
}
