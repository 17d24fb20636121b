package health

import (
	"context"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/internal/privileges"
)

// askPrivileges reads what the user may do on both deployments, and compares it with what
// `run` needs there. A deployment that is unavailable has no client.
func (c Check) askPrivileges(ctx context.Context, tailed *mongo.Client, r *Report) {
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

// addMissing adds what the users lack. Where one user needs all of it, one command grants
// it.
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
		// The table is written for the docs, in Markdown.
		out.Optional = append(out.Optional, privileges.Text(n.Privileges)+": "+strings.ReplaceAll(n.Without, "`", ""))
	}
	r.Missing = append(r.Missing, out)
	for _, n := range m.Of(privileges.Required, privileges.RequiredOnce, privileges.Configured) {
		r.problem("privileges are missing: " + privileges.Text(n.Privileges))
	}
}
