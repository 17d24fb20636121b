package pipeline

import (
	"errors"
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/replicaset"
)

const (
	codeUnauthorized       = 13
	codeMajorityNotEnabled = 148

	remedyTooOld = "ddltail needs 4.4 or newer"
)

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
	case hasCode(err, codeMajorityNotEnabled):
		return majorityNotEnabledError()
	case unauthorized(err):
		return &config.Error{
			Reason: fmt.Sprintf("the user may not read local.oplog.rs (%s)", firstLine(err)),
			Remedy: "grant it with db.getSiblingDB('admin').grantRolesToUser('<user>', [{role: 'read', db: 'local'}])",
		}
	}
	return err
}

// listingUserError does the same for a catalog snapshot, which needs the privileges to list
// and none to read documents.
func listingUserError(err error, pathIsAuthSource bool) error {
	if !unauthorized(err) {
		return UserError(err, pathIsAuthSource)
	}
	return &config.Error{
		Reason: fmt.Sprintf("the user may not list databases, collections and indexes (%s)", firstLine(err)),
		Remedy: "grant it with db.getSiblingDB('admin').runCommand({createRole: 'ddltailCatalog', privileges: " +
			"[{resource: {cluster: true}, actions: ['listDatabases']}, " +
			"{resource: {db: '', collection: ''}, actions: ['listCollections', 'listIndexes']}], roles: []}); " +
			"db.getSiblingDB('admin').grantRolesToUser('<user>', ['ddltailCatalog'])",
	}
}

// firstLine removes the command that a server repeats in an authorization error.
func firstLine(err error) string {
	text, _, _ := strings.Cut(err.Error(), " to execute command")
	return text
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
	case hasCode(err, codeMajorityNotEnabled):
		return majorityNotEnabledError()
	case unauthorized(err):
		return &config.Error{
			Reason: fmt.Sprintf("the user may not write to %s (%s)", database, firstLine(err)),
			Remedy: fmt.Sprintf("grant it with db.getSiblingDB('admin').grantRolesToUser('<user>', [{role: 'readWrite', db: '%s'}])", database),
		}
	}
	return err
}

// majorityNotEnabledError says what to do where no majority read is possible: a server up to
// 4.4 can be started so, which people did where one of three members is an arbiter.
func majorityNotEnabledError() error {
	return &config.Error{
		Reason: "a server runs with enableMajorityReadConcern: false, so that what is committed cannot be told from what may roll back",
		Remedy: "remove replication.enableMajorityReadConcern (or --enableMajorityReadConcern) from the configuration of every member, and restart them one by one",
	}
}

func authenticationRemedy(pathIsAuthSource bool) string {
	remedy := "check user, password and authSource in the URI"
	if pathIsAuthSource {
		remedy += "; the URI's path is also its authSource: users made in admin need ?authSource=admin"
	}
	return remedy
}

func unauthorized(err error) bool { return hasCode(err, codeUnauthorized) }

func hasCode(err error, code int) bool {
	var se mongo.ServerError
	return errors.As(err, &se) && se.HasErrorCode(code)
}

func isConfiguration(err error) bool {
	var c *config.Error
	return errors.As(err, &c)
}
