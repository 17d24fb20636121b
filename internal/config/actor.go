package config

import (
	"slices"
	"strings"
	"time"

	"github.com/ddltail/ddltail/internal/actor"
)

// Actor lists the sources in which the actor of a change is looked up. The zero value disables the lookup.
type Actor struct {
	// GetLog is true if the members' logs are read by command; Files are the paths of logs.
	GetLog bool
	Files  []string
	// Wait is the longest time that a batch waits; 0 means that it does not wait.
	Wait   time.Duration
	Fields []actor.Field
}

// On reports whether there is any source.
func (a Actor) On() bool { return a.GetLog || len(a.Files) > 0 }

const (
	actorOff    = "off"
	actorGetLog = "getlog"
	actorFile   = "file:"
)

func (c *checker) actor(env environment) Actor {
	a := Actor{Fields: c.actorFields(env.ActorFields)}
	wait, err := time.ParseDuration(env.ActorWait)
	if err != nil || wait < 0 {
		c.fail("ACTOR_WAIT", "%s: want a duration such as 300ms, or 0", shown(env.ActorWait))
	}
	a.Wait = wait
	sources := list(env.Actor)
	for _, source := range sources {
		path, isFile := strings.CutPrefix(source, actorFile)
		switch {
		case source == actorOff && len(sources) == 1:
		case source == actorGetLog:
			a.GetLog = true
		case isFile && path != "":
			if !slices.Contains(a.Files, path) {
				a.Files = append(a.Files, path)
			}
		default:
			c.fail("ACTOR", "%s: want off, or some of getlog, file:PATH", shown(env.Actor))
			return a
		}
	}
	return a
}

func (c *checker) actorFields(value string) []actor.Field {
	var fields []actor.Field
	for _, text := range list(value) {
		field := actor.Field(text)
		if !slices.Contains(actor.Fields(), field) {
			c.fail("ACTOR_FIELDS", "%s: want some of user, app, driver, client, mechanism", shown(value))
			return nil
		}
		fields = append(fields, field)
	}
	return fields
}
