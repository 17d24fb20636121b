// Package health asks a replica set and a sink how ddltail is doing.
package health

import (
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/mongosh"
	"github.com/ddltail/ddltail/internal/sink"
)

// rolePrefix begins the name of the role that deploy/replicaset/create-user.js makes.
const rolePrefix = "ddltail_run_"

// Privilege is a right to some actions on a resource.
type Privilege struct {
	Resource Resource
	Actions  []string
}

// Resource is what a privilege is for, as the server writes it.
type Resource struct {
	DB            *string `bson:"db"`
	Collection    *string `bson:"collection"`
	SystemBuckets *string `bson:"system_buckets"`
	Cluster       bool    `bson:"cluster"`
	Any           bool    `bson:"anyResource"`
}

// on is the resource of one collection; empty names stand for all.
func on(db, collection string) Resource { return Resource{DB: &db, Collection: &collection} }

func buckets() Resource {
	all := ""
	return Resource{DB: &all, SystemBuckets: &all}
}

// String is the resource as mongosh reads it.
func (r Resource) String() string {
	switch {
	case r.Cluster:
		return "{cluster: true}"
	case r.Any:
		return "{anyResource: true}"
	case r.SystemBuckets != nil:
		return fmt.Sprintf("{db: %s, system_buckets: %s}", mongosh.Quote(value(r.DB)), mongosh.Quote(*r.SystemBuckets))
	}
	return fmt.Sprintf("{db: %s, collection: %s}", mongosh.Quote(value(r.DB)), mongosh.Quote(value(r.Collection)))
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// covers reports whether a right on r is one on all that need is about.
func (r Resource) covers(need Resource) bool {
	switch {
	case r.Any:
		return true
	case r.Cluster || need.Cluster:
		return r.Cluster && need.Cluster
	case r.SystemBuckets != nil || need.SystemBuckets != nil:
		return r.SystemBuckets != nil && need.SystemBuckets != nil && wider(r.DB, need.DB) && wider(r.SystemBuckets, need.SystemBuckets)
	case value(r.Collection) == "" && strings.HasPrefix(value(need.Collection), "system."):
		// A right on all collections leaves out those of the server's own.
		return false
	}
	return wider(r.DB, need.DB) && wider(r.Collection, need.Collection)
}

func wider(have, need *string) bool { return value(have) == "" || value(have) == value(need) }

// ReaderNeeds is what `run` needs of the deployment that it tails.
func ReaderNeeds(majorVersion int) []Privilege {
	needs := []Privilege{
		{on("local", "oplog.rs"), []string{"find"}},
		{Resource{Cluster: true}, []string{"listDatabases"}},
		{on("", ""), []string{"listCollections", "listIndexes"}},
	}
	if majorVersion >= 5 {
		needs = append(needs, Privilege{buckets(), []string{"listIndexes"}})
	}
	return needs
}

// WriterNeeds is what `run` needs of the deployment that holds its collections. With
// retention it must also remove.
func WriterNeeds(database string, retention bool) []Privilege {
	audit := []string{"find", "insert", "createIndex"}
	if retention {
		audit = append(audit, "remove")
	}
	return []Privilege{
		{on(database, sink.Notifications), []string{"find", "insert", "update", "createIndex"}},
		{on(database, sink.Checkpoints), []string{"find", "insert", "update", "createIndex"}},
		{on(database, sink.History), audit},
		{on(database, sink.Catalog), audit},
	}
}

// user is whom a connection is authenticated as.
type user struct {
	Users []struct {
		User string `bson:"user"`
		DB   string `bson:"db"`
	} `bson:"authenticatedUsers"`
	Roles []struct {
		Role string `bson:"role"`
		DB   string `bson:"db"`
	} `bson:"authenticatedUserRoles"`
	Privileges []Privilege `bson:"authenticatedUserPrivileges"`
}

// Missing is what a user lacks, and what grants it.
type Missing struct {
	Privileges []Privilege
	// Grant is the mongosh command that grants it, run by an administrator.
	Grant string
}

// missing compares. A server without access control knows no users: nothing is
// missing there.
func (u user) missing(needs []Privilege, database string) Missing {
	if len(u.Users) == 0 {
		return Missing{}
	}
	var m Missing
	for _, need := range needs {
		lacking := slices.DeleteFunc(slices.Clone(need.Actions), func(action string) bool {
			return slices.ContainsFunc(u.Privileges, func(p Privilege) bool {
				return slices.Contains(p.Actions, action) && p.Resource.covers(need.Resource)
			})
		})
		if len(lacking) > 0 {
			m.Privileges = append(m.Privileges, Privilege{need.Resource, lacking})
		}
	}
	if len(m.Privileges) > 0 {
		m.Grant = u.grant(m.Privileges, database)
	}
	return m
}

// grant adds to the role that create-user.js has made, or makes one.
func (u user) grant(privileges []Privilege, database string) string {
	admin := mongosh.DB("admin")
	for _, r := range u.Roles {
		if r.DB == "admin" && strings.HasPrefix(r.Role, rolePrefix) {
			return fmt.Sprintf("%s.grantPrivilegesToRole(%s, [%s])", admin, mongosh.Quote(r.Role), listed(privileges))
		}
	}
	role := rolePrefix + database
	return fmt.Sprintf("%s.createRole({role: %s, privileges: [%s], roles: []}); %s.grantRolesToUser(%s, [{role: %s, db: 'admin'}])",
		admin, mongosh.Quote(role), listed(privileges), mongosh.DB(u.Users[0].DB), mongosh.Quote(u.Users[0].User), mongosh.Quote(role))
}

func listed(privileges []Privilege) string {
	texts := make([]string, len(privileges))
	for i, p := range privileges {
		texts[i] = p.String()
	}
	return strings.Join(texts, ", ")
}

// String is the privilege as mongosh reads it.
func (p Privilege) String() string {
	actions := make([]string, len(p.Actions))
	for i, a := range p.Actions {
		actions[i] = mongosh.Quote(a)
	}
	return fmt.Sprintf("{resource: %s, actions: [%s]}", p.Resource, strings.Join(actions, ", "))
}

// decodeUser reads the reply of connectionStatus.
func decodeUser(raw bson.Raw) (user, error) {
	var reply struct {
		AuthInfo user `bson:"authInfo"`
	}
	if err := bson.Unmarshal(raw, &reply); err != nil {
		return user{}, fmt.Errorf("decode connectionStatus: %w", err)
	}
	return reply.AuthInfo, nil
}
