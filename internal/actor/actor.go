package actor

import (
	"slices"
	"unicode/utf8"
)

// Evidence is the kind of evidence for an actor.
type Evidence string

// The kinds of evidence.
const (
	// ByLog is a line of the server's log.
	ByLog Evidence = "log"
	// BySession is the lsid.uid of the entry, which identifies only the user.
	BySession Evidence = "lsid"
)

// ViaMongos is the value of Via if the client is connected through a mongos.
const ViaMongos = "mongos"

// maxText bounds texts that a client chose. Drivers allow 128 bytes for the name of an application.
const maxText = 512

// Actor identifies who made a change, in its stored form.
type Actor struct {
	User      string   `bson:"user,omitempty"`  // user@db
	Users     []string `bson:"users,omitempty"` // instead of User, if a connection had several
	App       string   `bson:"app,omitempty"`
	Driver    string   `bson:"driver,omitempty"`
	Client    string   `bson:"client,omitempty"`
	Mechanism string   `bson:"mechanism,omitempty"`
	Via       string   `bson:"via,omitempty"`
	// Internal is true if the server itself made the change: without a client connection, or as the user __system@local.
	Internal bool     `bson:"internal,omitempty"`
	Evidence Evidence `bson:"evidence"`
	Exact    bool     `bson:"exact"`
}

// IsZero reports whether no actor is known.
func (a Actor) IsZero() bool { return a.Evidence == "" }

// Field is an optional field of an actor.
type Field string

// The optional fields.
const (
	FieldUser      Field = "user"
	FieldApp       Field = "app"
	FieldDriver    Field = "driver"
	FieldClient    Field = "client"
	FieldMechanism Field = "mechanism"
)

// Fields returns all optional fields.
func Fields() []Field {
	return []Field{FieldUser, FieldApp, FieldDriver, FieldClient, FieldMechanism}
}

// Only returns the actor with the listed optional fields only.
func (a Actor) Only(fields []Field) Actor {
	keep := func(field Field, text string) string {
		if slices.Contains(fields, field) {
			return bounded(text)
		}
		return ""
	}
	if !slices.Contains(fields, FieldUser) {
		a.Users = nil
	}
	a.User, a.App, a.Driver = keep(FieldUser, a.User), keep(FieldApp, a.App), keep(FieldDriver, a.Driver)
	a.Client, a.Mechanism = keep(FieldClient, a.Client), keep(FieldMechanism, a.Mechanism)
	return a
}

// bounded truncates a text to maxText bytes, at a character boundary.
func bounded(text string) string {
	if len(text) <= maxText {
		return text
	}
	cut := maxText
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut]
}

// Agrees reports whether two actors can be the same one, using two connections.
func (a Actor) Agrees(b Actor) bool {
	return a.User == b.User && slices.Equal(a.Users, b.Users) && a.Internal == b.Internal && a.App == b.App
}

func (a Actor) same(b Actor) bool {
	return a.User == b.User && slices.Equal(a.Users, b.Users) && a.App == b.App && a.Client == b.Client && a.Internal == b.Internal
}
