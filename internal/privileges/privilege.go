package privileges

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ddltail/ddltail/internal/mongosh"
)

// Privilege grants actions on a resource.
type Privilege struct {
	Resource Resource
	Actions  []string
}

// String returns the privilege as a mongosh literal.
func (p Privilege) String() string {
	actions := make([]string, len(p.Actions))
	for i, a := range p.Actions {
		actions[i] = mongosh.Quote(a)
	}
	return fmt.Sprintf("{resource: %s, actions: [%s]}", p.Resource, strings.Join(actions, ", "))
}

// Resource is what a privilege applies to, with the server's field names.
type Resource struct {
	DB            *string `bson:"db"`
	Collection    *string `bson:"collection"`
	SystemBuckets *string `bson:"system_buckets"`
	Cluster       bool    `bson:"cluster"`
	Any           bool    `bson:"anyResource"`
}

// on returns the resource of one collection; an empty name means all.
func on(db, collection string) Resource { return Resource{DB: &db, Collection: &collection} }

func cluster() Resource { return Resource{Cluster: true} }

// buckets returns the resource of the buckets of all time series.
func buckets() Resource {
	all := ""
	return Resource{DB: &all, SystemBuckets: &all}
}

// String returns the resource as a mongosh literal.
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

// covers reports whether a privilege on r includes one on need.
func (r Resource) covers(need Resource) bool {
	switch {
	case r.Any:
		return true
	case r.Cluster || need.Cluster:
		return r.Cluster && need.Cluster
	case r.SystemBuckets != nil || need.SystemBuckets != nil:
		return r.SystemBuckets != nil && need.SystemBuckets != nil && wider(r.DB, need.DB) && wider(r.SystemBuckets, need.SystemBuckets)
	case value(r.Collection) == "" && strings.HasPrefix(value(need.Collection), "system."):
		// A privilege on all collections does not include system collections.
		return false
	}
	return wider(r.DB, need.DB) && wider(r.Collection, need.Collection)
}

func wider(have, need *string) bool { return value(have) == "" || value(have) == value(need) }

// lacking returns the wanted privileges with the actions that the held ones do not grant.
func lacking(wanted, held []Privilege) []Privilege {
	var out []Privilege
	for _, w := range wanted {
		actions := slices.DeleteFunc(slices.Clone(w.Actions), func(action string) bool {
			return slices.ContainsFunc(held, func(p Privilege) bool {
				return slices.Contains(p.Actions, action) && p.Resource.covers(w.Resource)
			})
		})
		if len(actions) > 0 {
			out = append(out, Privilege{w.Resource, actions})
		}
	}
	return out
}

// Text returns privileges as a list of mongosh literals.
func Text(list []Privilege) string {
	texts := make([]string, len(list))
	for i, p := range list {
		texts[i] = p.String()
	}
	return strings.Join(texts, ", ")
}
