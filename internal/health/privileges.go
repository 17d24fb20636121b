package health

import (
	"context"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/internal/privileges"
)

// readPrivileges reads the users' privileges on both deployments, and compares them with what
// `run` needs there. An unavailable deployment has no client.
func (c Check) readPrivileges(ctx context.Context, tailed *mongo.Client, r *Report) {
	use := privileges.Use{Database: c.Sink.Name(), HistoryTTL: c.Retention, Actor: c.Actor.On(), GetLog: c.Actor.GetLog, NoQueue: c.NoQueue}
	users := map[privileges.Deployment]privileges.User{}
	read := func(d privileges.Deployment, client *mongo.Client) {
		user, err := privileges.Read(ctx, client)
		if err != nil {
			r.failed(err)
			return
		}
		users[d] = user
	}
	if tailed != nil {
		read(privileges.Tailed, tailed)
		major, err := privileges.MajorVersion(ctx, tailed)
		if err != nil {
			r.failed(err)
			delete(users, privileges.Tailed)
		}
		use.MajorVersion = major
	}
	if c.SinkError == nil {
		read(privileges.Sink, c.Sink.Client())
	}
	r.addMissing(use, users, c.OneDeployment)
}

// addMissing adds the privileges that the users lack. If one user needs all of them, one
// command grants them.
func (r *Report) addMissing(use privileges.Use, users map[privileges.Deployment]privileges.User, oneDeployment bool) {
	r.here = map[privileges.Deployment]bool{}
	if len(users) == 2 {
		r.know(FactPrivileges)
		r.Missing = []Missing{}
	}
	for d := range users {
		r.here[d] = true
	}
	for _, m := range use.MissingOf(users, oneDeployment) {
		r.addOne(m)
	}
}

func (r *Report) addOne(m privileges.Missing) {
	out := Missing{Privileges: m.Privileges(), Grant: m.Grant, Remedy: m.Remedy()}
	for _, n := range m.Of(privileges.Optional) {
		// The texts of the table are Markdown.
		out.Optional = append(out.Optional, privileges.Text(n.Privileges)+": "+strings.ReplaceAll(n.Without, "`", ""))
	}
	r.Missing = append(r.Missing, out)
	for _, n := range m.Of(privileges.Required, privileges.RequiredOnce, privileges.Configured) {
		r.problem("privileges are missing: " + privileges.Text(n.Privileges))
	}
}
