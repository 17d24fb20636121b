// Package usererror converts permanent errors of MongoDB, which a retry cannot resolve, into a
// *config.Error with a remedy. All other errors are returned unchanged.
package usererror

import (
	"errors"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/ownindex"
	"github.com/ddltail/ddltail/internal/privileges"
	"github.com/ddltail/ddltail/internal/replicaset"
)

const (
	remedyTooOld = "ddltail needs 4.4 or newer"
	// codeMajorityDisabled is the server's ReadConcernMajorityNotEnabled.
	codeMajorityDisabled = 148
	// codeDatabaseDifferCase: a server cannot have two databases whose names differ only in case.
	codeDatabaseDifferCase = 13297
)

// Tailed handles errors of the tailed replica set.
func Tailed(err error, pathIsAuthSource bool) error {
	var remedy string
	switch {
	case errors.Is(err, replicaset.ErrStandalone):
		remedy = "a replica set is required, one member is enough: start mongod with --replSet rs0 and run rs.initiate()"
	case errors.Is(err, replicaset.ErrMongos), errors.Is(err, replicaset.ErrOtherSet):
		remedy = "set DDLTAIL_MONGODB_URI to a replica set's members"
	case errors.Is(err, replicaset.ErrTooOld):
		remedy = remedyTooOld
	case errors.Is(err, replicaset.ErrAuthentication):
		remedy = authenticationRemedy(err, pathIsAuthSource)
	case isMajorityDisabled(err):
		return majorityDisabled(err)
	case privileges.IsUnauthorized(err):
		return privileges.Use{}.Refused(err, privileges.Tailed, privileges.Required)
	default:
		return err
	}
	return &config.Error{Reason: err.Error(), Remedy: remedy, Err: err}
}

// Listing handles errors of a catalog snapshot, which needs privileges to list, but not to read
// documents.
func Listing(err error, pathIsAuthSource bool) error {
	if !privileges.IsUnauthorized(err) {
		return Tailed(err, pathIsAuthSource)
	}
	return privileges.Use{}.Refused(err, privileges.Tailed, privileges.RequiredOnce)
}

// Sink handles errors of the deployment that holds ddltail's collections.
func Sink(err error, database string, pathIsAuthSource bool) error {
	var kind ownindex.NotCollectionError
	switch {
	case errors.As(err, &kind):
		return &config.Error{Reason: kind.Error(), Remedy: "rename or drop it, or set DDLTAIL_DATABASE to another database", Err: err}
	case errors.Is(err, replicaset.ErrStandalone), errors.Is(err, replicaset.ErrOtherSet):
		return &config.Error{Reason: err.Error(), Remedy: "set replicaSet in the URI to the name of the set, or leave it out", Err: err}
	case errors.Is(err, replicaset.ErrTooOld):
		return &config.Error{Reason: err.Error(), Remedy: remedyTooOld, Err: err}
	case replicaset.Unauthenticated(err):
		refused := replicaset.AuthenticationError(err)
		return &config.Error{Reason: "the sink: " + refused.Error(), Remedy: authenticationRemedy(refused, pathIsAuthSource), Err: err}
	case hasCode(err, codeDatabaseDifferCase):
		return &config.Error{Reason: err.Error(), Remedy: "set DDLTAIL_DATABASE to the name of the database that exists, or to another one", Err: err}
	case isMajorityDisabled(err):
		return majorityDisabled(err)
	case privileges.IsUnauthorized(err):
		return privileges.Use{Database: database}.Refused(err, privileges.Sink, privileges.Required)
	}
	return err
}

// IsFinal reports whether an error is permanent, so that a retry cannot resolve it.
func IsFinal(err error) bool {
	var c *config.Error
	return errors.As(err, &c)
}

func isMajorityDisabled(err error) bool { return hasCode(err, codeMajorityDisabled) }

func hasCode(err error, code int) bool {
	var se mongo.ServerError
	return errors.As(err, &se) && se.HasErrorCode(code)
}

// majorityDisabled returns the error for a server up to 4.4 that was started without majority reads, which is
// common in sets of a primary, a secondary and an arbiter (PSA).
func majorityDisabled(err error) error {
	return &config.Error{
		Reason: "a server runs with enableMajorityReadConcern: false, so that committed changes cannot be distinguished from those that may roll back",
		Remedy: "remove replication.enableMajorityReadConcern (or --enableMajorityReadConcern) from the configuration of every member, and restart them one by one",
		Err:    err,
	}
}

func authenticationRemedy(err error, pathIsAuthSource bool) string {
	if errors.Is(err, replicaset.ErrMechanism) {
		return "change authMechanism in the URI, or leave it out"
	}
	remedy := "check user, password and authSource in the URI"
	if pathIsAuthSource {
		remedy += "; the URI's path is also its authSource: users created in admin need ?authSource=admin"
	}
	return remedy
}
