// Package health checks a replica set, a sink, and the ddltail that uses them.
package health

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/listener"
	"github.com/ddltail/ddltail/internal/privileges"
	"github.com/ddltail/ddltail/internal/schema"
)

// Report is the output of `status`. Values that were not measured are nil (null in JSON) and
// named in NotKnown; an empty list, zero and "none" are always measured. Durations are seconds.
type Report struct {
	Healthy bool `json:"healthy"`
	// Problems are the reasons why it is not healthy.
	Problems []string `json:"problems"`
	NotKnown []Fact   `json:"not_known"`

	Source     Text     `json:"source"`
	Name       string   `json:"name"`
	ReplicaSet Text     `json:"replica_set"`
	Members    []Member `json:"members"`
	// ReadFrom is the member that the read preference selects first.
	ReadFrom Text `json:"read_from"`
	// Position is also nil if there is no checkpoint yet.
	Position *Position `json:"position"`
	Oplog    *Oplog    `json:"oplog"`
	Missing  []Missing `json:"missing_privileges"`
	// LastEvent is also nil if the history is known to have no change.
	LastEvent *Event  `json:"last_change"`
	Gaps      *Gaps   `json:"gaps"`
	Queue     *Queue  `json:"notifications"`
	Catalog   Catalog `json:"catalog"`
	// Actors is absent if ACTOR is off and no change has an actor.
	Actors *Actors `json:"actors,omitempty"`
	// Declared is absent if DECLARED is not set.
	Declared *Declared `json:"declared,omitempty"`

	measured map[Fact]bool
	// declared are the declared definitions; nil if DECLARED cannot be read.
	declared schema.Definitions
	// queueNote is why the queue could not be read.
	queueNote string
	// here holds the deployments whose privileges were read.
	here map[privileges.Deployment]bool
}

// Fact is a part of the report that is measured or not known.
type Fact string

// The facts, by their names in JSON.
const (
	FactReplicaSet Fact = "replica_set"
	FactSource     Fact = "source"
	FactMembers    Fact = "members"
	FactReadFrom   Fact = "read_from"
	FactPosition   Fact = "position"
	FactLag        Fact = "position.lag_seconds"
	FactOplog      Fact = "oplog"
	FactPrivileges Fact = "missing_privileges"
	FactLastChange Fact = "last_change"
	FactGaps       Fact = "gaps"
	FactQueue      Fact = "notifications"
	FactCatalog    Fact = "catalog"
	FactDeclared   Fact = "declared"
)

func facts() []Fact {
	return []Fact{FactReplicaSet, FactSource, FactMembers, FactReadFrom, FactPosition, FactLag, FactOplog, FactPrivileges,
		FactLastChange, FactGaps, FactQueue, FactCatalog, FactDeclared}
}

// Text is null in JSON if it is empty.
type Text string

// MarshalJSON writes null for an empty text.
func (t Text) MarshalJSON() ([]byte, error) {
	if t == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(t))
}

// Member is one member of the set.
type Member struct {
	Host string `json:"host"`
	// State is PRIMARY or SECONDARY, or why it cannot be read from.
	State string `json:"state"`
}

// Missing are the privileges that the user lacks on one deployment, or on both if they are the
// same.
type Missing struct {
	Privileges []privileges.Privilege
	// Optional are the privileges without which ddltail is healthy, with the effect of each.
	Optional []string
	// Grant is the mongosh command, for an administrator, that grants them; empty if the URI
	// has no user.
	Grant string
	// Remedy names the script that grants them, and the command.
	Remedy string
}

// Position is how far the oplog has been published.
type Position struct {
	Time    time.Time `json:"time"`
	SavedAt time.Time `json:"saved_at"`
	// LagSeconds is how far it is behind the newest majority-committed entry.
	LagSeconds *int64 `json:"lag_seconds"`
	// RemainingSeconds is the time until it falls off the oplog, if it stops and the oplog
	// grows as before.
	RemainingSeconds *int64 `json:"remaining_seconds"`

	ts bson.Timestamp
}

// Oplog describes the oplog of the member that is read from.
type Oplog struct {
	Oldest        time.Time `json:"oldest"`
	Newest        time.Time `json:"newest"`
	WindowSeconds int64     `json:"window_seconds"`

	oldest, newest bson.Timestamp
}

// Event is the last change.
type Event struct {
	Time      time.Time `json:"time"`
	Operation string    `json:"operation"`
	NS        string    `json:"ns"`
	ID        string    `json:"id"`
}

// Gaps counts the gaps in the history.
type Gaps struct {
	Number int        `json:"number"`
	From   *time.Time `json:"last_from,omitempty"`
	To     *time.Time `json:"last_to,omitempty"`
}

// Actors counts the newest changes by the evidence of their actors.
type Actors struct {
	Sources []ActorSource `json:"sources"`
	// Changes is how many of the newest changes were counted: those read from the oplog, not the inferred ones.
	Changes int `json:"changes"`
	// Exact, ByName and BySession count changes with an actor by its evidence: a log line that matches exactly, a log line that matches
	// by name and time, and the session of a transaction.
	Exact     int `json:"log_exact"`
	ByName    int `json:"log_by_name"`
	BySession int `json:"lsid"`
}

// ActorSource is one source and why it does not work; Problem is empty if it works.
type ActorSource struct {
	Name    string `json:"name"`
	Problem string `json:"problem,omitempty"`
}

// Queue describes the unprocessed notifications.
type Queue struct {
	Unprocessed int64 `json:"unprocessed"`
	// AtLeast is true if counting stopped at Unprocessed.
	AtLeast bool `json:"at_least,omitempty"`
	// Oldest is also nil if none is unprocessed.
	Oldest *time.Time `json:"oldest"`
	// Failing is the first notification whose delivery fails; nil if there is none, or if it
	// is not known.
	Failing *listener.Failing `json:"failing,omitempty"`
}

// Catalog is the comparison of the known catalog with the server's.
type Catalog struct {
	Namespaces *int `json:"namespaces"`
	// Compared is false if the catalogs could not be compared.
	Compared    bool     `json:"compared"`
	Differences []string `json:"differences"`
	// Unlisted are the namespaces that the server cannot list, with its reason. They are not
	// compared.
	Unlisted []string `json:"unlisted"`
}

func (r *Report) problem(text string) {
	if !slices.Contains(r.Problems, text) {
		r.Problems = append(r.Problems, text)
	}
}

func (r *Report) failed(err error) { r.problem(privileges.Short(err)) }

func (r *Report) know(facts ...Fact) {
	for _, f := range facts {
		r.measured[f] = true
	}
}

// knows reports whether a fact was measured.
func (r Report) knows(f Fact) bool { return r.measured[f] }

// conclude derives the problems that follow from several facts, and the unknown facts.
func (r *Report) conclude() {
	if p := r.Position; p != nil && r.Oplog != nil {
		lag, remaining := max(0, int64(r.Oplog.newest.T)-int64(p.ts.T)), int64(p.ts.T)-int64(r.Oplog.oldest.T)
		p.LagSeconds, p.RemainingSeconds = &lag, &remaining
		r.know(FactLag)
		switch {
		case p.ts.Before(r.Oplog.oldest):
			r.problem(fmt.Sprintf("the position has fallen off the oplog of %s", r.ReadFrom))
		case time.Duration(lag)*time.Second > maxLag:
			r.problem(fmt.Sprintf("the position is %s behind", span(lag)))
		}
	}
	r.NotKnown = []Fact{}
	for _, f := range facts() {
		// Without a position there is no lag, without a declaration no drift.
		if !r.knows(f) && (f != FactLag || r.Position != nil) && (f != FactDeclared || r.Declared != nil) {
			r.NotKnown = append(r.NotKnown, f)
		}
	}
	r.Healthy = len(r.Problems) == 0
}
