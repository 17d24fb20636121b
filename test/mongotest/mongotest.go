// Package mongotest runs real MongoDB servers on loopback, for tests and for the demo.
//
// A test starts a replica set or a standalone server, which is ready when the call returns and stopped at the end
// of the test:
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
// Other programs use [StartReplicaSet] and [StartStandalone] and call Stop. If the program panics or is killed before Stop,
// the servers and their folder are removed anyway (see procgroup).
//
// The server is $MONGOD, else mongod on PATH, else one from .cache at the module's root, which scripts/mongod.sh downloads.
// [Options].Version selects another version from .cache.
//
// Every wait ends with the caller's context, or after two minutes. The methods of a set and of its members, except Kill, Pause
// and Resume, must not be called concurrently.
package mongotest

import (
	"slices"
	"strconv"
	"time"
)

// RootUser and RootPassword are the credentials of the user that Options.Auth creates. The password needs escaping in a
// URI.
const (
	RootUser     = "root"
	RootPassword = "p@ss/w:rd%é" //nolint:gosec // of a server on loopback that lives as long as a test
)

// patience bounds every wait.
const patience = 2 * time.Minute

// Options configures the servers. The zero value is a replica set of one member, or a standalone server, without
// authentication.
type Options struct {
	// Members is the number of data-bearing members; 0 is 1.
	Members int
	// Arbiter adds an arbiter to the members.
	Arbiter bool
	// Auth enables authentication (a keyFile between members) and creates the root user, which is then the user of every URI.
	Auth bool
	// OplogSizeMB is the oplog's size in MB; 0 is the server's default, at least 990. 16 rolls over in seconds.
	OplogSizeMB int
	// Version selects a server from .cache, such as "4.4.2"; empty is the default server. The available versions are
	// the names of the files in scripts/mongod.
	Version string
	// Args are additional arguments of every mongod, such as "--setParameter",
	// "enableTestCommands=1".
	Args []string
	// LogFile makes every mongod write its log with --logpath, so that [Member.RotateLog] can
	// rename it.
	LogFile bool
	// Uninitiated leaves the members running without a configuration, as they are before rs.initiate.
	Uninitiated bool
	// ElectionTimeout is electionTimeoutMillis; 0 is the server's default of 10 s. 2 s is suitable for tests of failovers.
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
