// Package health asks a replica set and a sink how ddltail is doing.
package health

import (
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/privileges"
)

// Report is what `status` says. Durations are seconds; zero times are not known.
type Report struct {
	Healthy bool `json:"healthy"`
	// Problems are the reasons why it is not.
	Problems   []string `json:"problems"`
	Source     string   `json:"source"`
	Name       string   `json:"name"`
	ReplicaSet string   `json:"replica_set"`
	Members    []Member `json:"members"`
	// ReadFrom is the member that the read preference puts first.
	ReadFrom  string    `json:"read_from"`
	Position  *Position `json:"position"`
	Oplog     *Oplog    `json:"oplog"`
	Missing   []Missing `json:"missing_privileges"`
	LastEvent *Event    `json:"last_change"`
	Gaps      Gaps      `json:"gaps"`
	Queue     Queue     `json:"notifications"`
	Catalog   Catalog   `json:"catalog"`
	// Actors is absent where ACTOR is off and no change has an actor.
	Actors *Actors `json:"actors,omitempty"`
}

// Member is one member of the set.
type Member struct {
	Host string `json:"host"`
	// State is PRIMARY or SECONDARY, or why it cannot be read from.
	State string `json:"state"`
}

// Missing is what the user lacks on one deployment.
type Missing struct {
	Privileges []privileges.Privilege
	// Grant is the mongosh command, for an administrator, that grants it; empty where
	// the URI names no user.
	Grant string
	// Remedy names the script that grants it, and the command.
	Remedy string
}

// Position is how far the oplog has been published.
type Position struct {
	Time    time.Time `json:"time"`
	SavedAt time.Time `json:"saved_at"`
	// LagSeconds is how far it lies behind the newest entry that a majority has.
	LagSeconds int64 `json:"lag_seconds"`
	// Remaining is after how long it would fall off the oplog, were it to stand still
	// and the oplog written to as it was.
	RemainingSeconds int64 `json:"remaining_seconds"`

	ts bson.Timestamp
}

// Oplog is what the member that is read from holds.
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

// Gaps counts where history was lost.
type Gaps struct {
	Number int        `json:"number"`
	From   *time.Time `json:"last_from,omitempty"`
	To     *time.Time `json:"last_to,omitempty"`
}

// Actors is who made the newest changes, as far as that is known.
type Actors struct {
	Sources []ActorSource `json:"sources"`
	// Changes is how many of the newest changes were counted: those read from the oplog, not the inferred ones.
	Changes int `json:"changes"`
	// Exact, ByName and BySession count those with an actor by its evidence: a line of the log that joins exactly, one that joins by
	// name and time, and the session of a transaction.
	Exact     int `json:"log_exact"`
	ByName    int `json:"log_by_name"`
	BySession int `json:"lsid"`
}

// ActorSource is one source and why it does not work; an empty Problem is none.
type ActorSource struct {
	Name    string `json:"name"`
	Problem string `json:"problem,omitempty"`
}

// Queue is what consumers have not processed yet.
type Queue struct {
	Unprocessed int64      `json:"unprocessed"`
	Oldest      *time.Time `json:"oldest,omitempty"`
}

// Catalog compares what is known with what the server has.
type Catalog struct {
	Namespaces int `json:"namespaces"`
	// Compared is false where it could not be.
	Compared    bool     `json:"compared"`
	Differences []string `json:"differences"`
}

func (r *Report) problem(text string) { r.Problems = append(r.Problems, text) }
