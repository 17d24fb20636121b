package pipeline

import (
	"errors"

	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/privileges"
	"github.com/ddltail/ddltail/internal/replicaset"
)

const remedyTooOld = "ddltail needs 4.4 or newer"

// UserError turns an error that waiting cannot resolve into a *config.Error that says what
// to do, and returns every other error unchanged.
func UserError(err error, pathIsAuthSource bool) error {
	switch {
	case errors.Is(err, replicaset.ErrStandalone):
		return &config.Error{Reason: err.Error(), Remedy: "an oplog needs a replica set, one member is enough: " +
			"start mongod with --replSet rs0 and run rs.initiate()"}
	case errors.Is(err, replicaset.ErrMongos), errors.Is(err, replicaset.ErrOtherSet):
		return &config.Error{Reason: err.Error(), Remedy: "set DDLTAIL_MONGODB_URI to a replica set's members"}
	case errors.Is(err, replicaset.ErrTooOld):
		return &config.Error{Reason: err.Error(), Remedy: remedyTooOld}
	case errors.Is(err, replicaset.ErrAuthentication):
		return &config.Error{Reason: err.Error(), Remedy: authenticationRemedy(pathIsAuthSource)}
	case privileges.IsUnauthorized(err):
		return privileges.Use{}.Refused(err, privileges.Tailed, privileges.Required)
	}
	return err
}

// listingUserError does the same for a catalog snapshot, which needs the privileges to list
// and none to read documents.
func listingUserError(err error, pathIsAuthSource bool) error {
	if !privileges.IsUnauthorized(err) {
		return UserError(err, pathIsAuthSource)
	}
	return privileges.Use{}.Refused(err, privileges.Tailed, privileges.RequiredOnce)
}

// SinkUserError does the same for the deployment that holds ddltail's collections.
func SinkUserError(err error, database string, pathIsAuthSource bool) error {
	switch {
	case errors.Is(err, replicaset.ErrStandalone), errors.Is(err, replicaset.ErrOtherSet):
		return &config.Error{Reason: err.Error(), Remedy: "set replicaSet in the URI to the name of the set, or leave it out"}
	case errors.Is(err, replicaset.ErrTooOld):
		return &config.Error{Reason: err.Error(), Remedy: remedyTooOld}
	case replicaset.Unauthenticated(err):
		return &config.Error{Reason: "the sink: " + replicaset.ErrAuthentication.Error(), Remedy: authenticationRemedy(pathIsAuthSource)}
	case privileges.IsUnauthorized(err):
		return privileges.Use{Database: database}.Refused(err, privileges.Sink, privileges.Required)
	}
	return err
}

func authenticationRemedy(pathIsAuthSource bool) string {
	remedy := "check user, password and authSource in the URI"
	if pathIsAuthSource {
		remedy += "; the URI's path is also its authSource: users made in admin need ?authSource=admin"
	}
	return remedy
}

func isConfiguration(err error) bool {
	var c *config.Error
	return errors.As(err, &c)
}
