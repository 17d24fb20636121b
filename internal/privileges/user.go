package privileges

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/mongosh"
)

// explainTimeout bounds the reading of the user's privileges.
const explainTimeout = 2 * time.Second

const codeUnauthorized = 13

// Script grants the privileges of the table. It is in deploy/replicaset of the repository, and in every package and archive.
const Script = "create-user.js"

// IsUnauthorized reports whether a server refused a command because a privilege is missing.
func IsUnauthorized(err error) bool {
	var se mongo.ServerError
	return errors.As(err, &se) && se.HasErrorCode(codeUnauthorized)
}

// User is the authenticated user of a connection, with its privileges.
type User struct {
	Users []struct {
		User string `bson:"user"`
		DB   string `bson:"db"`
	} `bson:"authenticatedUsers"`
	Roles []struct {
		Role string `bson:"role"`
		DB   string `bson:"db"`
	} `bson:"authenticatedUserRoles"`
	Privileges []Privilege `bson:"authenticatedUserPrivileges"`

	// everything is true on a server without access control.
	everything bool
}

// Read reads the user of a connection and its privileges.
func Read(ctx context.Context, client *mongo.Client) (User, error) {
	admin := client.Database("admin")
	raw, err := admin.RunCommand(ctx, bson.D{{Key: "connectionStatus", Value: 1}, {Key: "showPrivileges", Value: true}}).Raw()
	if err != nil {
		return User{}, fmt.Errorf("read the user's privileges: %w", err)
	}
	var reply struct {
		AuthInfo User `bson:"authInfo"`
	}
	if err := bson.Unmarshal(raw, &reply); err != nil {
		return User{}, fmt.Errorf("decode connectionStatus: %w", err)
	}
	user := reply.AuthInfo
	if len(user.Users) > 0 {
		return user, nil
	}
	// connectionStatus needs no authentication. This command needs authentication, but no
	// privilege, if access control is on.
	err = admin.RunCommand(ctx, bson.D{{Key: "listDatabases", Value: 1}, {Key: "nameOnly", Value: true}, {Key: "authorizedDatabases", Value: true}}).Err()
	if err != nil && !IsUnauthorized(err) {
		return User{}, fmt.Errorf("read whether access control is on: %w", err)
	}
	user.everything = err == nil
	return user, nil
}

// MajorVersion reads the first number of a server's version, which Use needs.
func MajorVersion(ctx context.Context, client *mongo.Client) (int, error) {
	var info struct {
		Version []int `bson:"versionArray"`
	}
	err := client.Database("admin").RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Decode(&info)
	if err != nil || len(info.Version) == 0 {
		return 0, fmt.Errorf("read the server's version: %w", err)
	}
	return info.Version[0], nil
}

// Missing is the part of the table that a user lacks.
type Missing struct {
	// Needs are the rows, each reduced to the privileges that are missing.
	Needs []Need
	// Grant is the mongosh command, for an administrator, that grants them; empty if the
	// connection is not authenticated.
	Grant string

	use Use
}

// Missing returns the needs of a use that the user lacks.
func (u User) Missing(use Use, needs []Need) Missing {
	m := Missing{use: use}
	if u.everything {
		return m
	}
	for _, n := range needs {
		if n.Privileges = lacking(n.Privileges, u.Privileges); len(n.Privileges) > 0 {
			m.Needs = append(m.Needs, n)
		}
	}
	if len(m.Needs) > 0 && len(u.Users) > 0 {
		m.Grant = u.grant(m.Privileges(), use)
	}
	return m
}

// MissingOf returns what the users lack on each deployment. If both are the same deployment,
// one user needs all privileges, and one command grants them.
func (u Use) MissingOf(users map[Deployment]User, one bool) []Missing {
	var all []Missing
	var needs []Need
	for _, d := range []Deployment{Tailed, Sink} {
		user, ok := users[d]
		if !ok {
			continue
		}
		needs = slices.Concat(needs, u.Needs(d))
		if one && d == Tailed && len(users) == 2 {
			continue
		}
		if m := user.Missing(u, needs); len(m.Needs) > 0 {
			all = append(all, m)
		}
		needs = nil
	}
	return all
}

// Only returns the part with one of the effects.
func (m Missing) Only(effects ...Effect) Missing {
	m.Needs = m.Of(effects...)
	return m
}

// Of returns the rows with one of the effects.
func (m Missing) Of(effects ...Effect) []Need {
	return slices.DeleteFunc(slices.Clone(m.Needs), func(n Need) bool { return !slices.Contains(effects, n.Effect) })
}

// Privileges lists all missing privileges.
func (m Missing) Privileges() []Privilege {
	var all []Privilege
	for _, n := range m.Needs {
		all = append(all, n.Privileges...)
	}
	return all
}

// Error returns an error that names the missing privileges and how to grant them, or nil.
func (m Missing) Error() *config.Error {
	if len(m.Needs) == 0 {
		return nil
	}
	return &config.Error{Reason: "privileges are missing: " + Text(m.Privileges()), Remedy: m.Remedy()}
}

// Remedy returns how to grant what is missing.
func (m Missing) Remedy() string {
	if m.Grant == "" {
		return "the server requires authentication: add user and password to the URI"
	}
	return m.use.script() + ", or grant them with " + m.Grant
}

// script returns the command that runs create-user.js for a use.
func (u Use) script() string {
	var with []string
	if u.role() != Run {
		with = append(with, "DDLTAIL_ROLE="+string(u.Role))
	}
	if u.HistoryTTL {
		with = append(with, "DDLTAIL_HISTORY_TTL set")
	}
	if u.Actor {
		with = append(with, "DDLTAIL_ACTOR set")
	}
	if len(with) == 0 {
		return "run " + Script
	}
	return "run " + Script + " with " + strings.Join(with, " and ")
}

func (u Use) role() Role {
	if u.Role == "" {
		return Run
	}
	return u.Role
}

// grant returns the command that adds privileges to the role of create-user.js, or creates a role.
func (u User) grant(privileges []Privilege, use Use) string {
	admin, role := mongosh.DB("admin"), "ddltail_"+string(use.role())+"_"+use.Database
	for _, r := range u.Roles {
		if r.DB == "admin" && strings.HasPrefix(r.Role, "ddltail_"+string(use.role())+"_") {
			return fmt.Sprintf("%s.grantPrivilegesToRole(%s, [%s])", admin, mongosh.Quote(r.Role), Text(privileges))
		}
	}
	user := u.Users[0]
	return fmt.Sprintf("%s.createRole({role: %s, privileges: [%s], roles: []}); %s.grantRolesToUser(%s, [{role: %s, db: 'admin'}])",
		admin, mongosh.Quote(role), Text(privileges), mongosh.DB(user.DB), mongosh.Quote(user.User), mongosh.Quote(role))
}

// Explain returns err, or a *config.Error if the server refused a command because a privilege
// is missing. That error names the missing privileges and how to grant them. If the user's
// privileges cannot be read within explainTimeout, it names all that the use needs.
func (u Use) Explain(ctx context.Context, client *mongo.Client, d Deployment, err error) error {
	if !IsUnauthorized(err) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, explainTimeout)
	defer cancel()
	user, readErr := Read(ctx, client)
	if readErr == nil {
		if missing := user.Missing(u, u.Needs(d)).Error(); missing != nil {
			return missing
		}
	}
	return u.Refused(err, d, Required)
}

// Short returns the text of an error without the refused command that servers append, with
// its session and cluster time.
func Short(err error) string { return ShortText(err.Error()) }

// ShortText is Short for the text of an error.
func ShortText(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i], _, _ = strings.Cut(line, " to execute command {")
	}
	return strings.Join(lines, "\n")
}

// Refused explains a refusal if the user's privileges cannot be read: it names what the use
// needs with one of the effects.
func (u Use) Refused(err error, d Deployment, effects ...Effect) *config.Error {
	m := Missing{Needs: u.Needs(d)}
	m.Needs = m.Of(effects...)
	reason := "a privilege is missing: " + Short(err)
	if len(m.Needs) > 0 {
		reason += "; needed: " + Text(m.Privileges())
	}
	return &config.Error{Reason: reason, Remedy: u.script(), Err: err}
}
