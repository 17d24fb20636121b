package usererror_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/ownindex"
	"github.com/ddltail/ddltail/internal/replicaset"
	"github.com/ddltail/ddltail/internal/usererror"
)

// TestFinal: what waiting cannot resolve names a remedy and keeps its cause; everything
// else is returned as it is.
func TestFinal(t *testing.T) {
	refused := mongo.CommandError{Code: 13, Name: "Unauthorized",
		Message: "not authorized on local to execute command { find: 'oplog.rs', lsid: { id: UUID('secret') } }"}
	tailed := func(err error) error { return usererror.Tailed(err, true) }
	listing := func(err error) error { return usererror.Listing(err, true) }
	sink := func(err error) error { return usererror.Sink(err, "ddltail", true) }
	for _, c := range []struct {
		why    string
		of     func(error) error
		err    error
		remedy string
	}{
		{"standalone", tailed, replicaset.ErrStandalone, "rs.initiate()"},
		{"mongos", tailed, replicaset.ErrMongos, "DDLTAIL_MONGODB_URI"},
		{"another set", tailed, replicaset.ErrOtherSet, "DDLTAIL_MONGODB_URI"},
		{"no majority reads", tailed, mongo.CommandError{Code: 148}, "enableMajorityReadConcern"},
		{"sink: no majority reads", sink, mongo.CommandError{Code: 148}, "enableMajorityReadConcern"},
		{"too old", tailed, replicaset.ErrTooOld, "4.4"},
		{"authentication", tailed, replicaset.ErrAuthentication, "authSource=admin"},
		{"a mechanism that is not offered", tailed, replicaset.ErrMechanism, "authMechanism"},
		{"sink: a mechanism that is not offered", sink, mongo.CommandError{Code: 334}, "authMechanism"},
		{"sink: a view in place of a collection", sink, ownindex.NotCollectionError{Database: "a", Name: "schema_history", Kind: "view"}, "DDLTAIL_DATABASE"},
		{"sink: a name that differs in case", sink, mongo.CommandError{Code: 13297}, "DDLTAIL_DATABASE"},
		{"no right to read the oplog", tailed, refused, "create-user.js"},
		{"no right to list", listing, refused, "create-user.js"},
		{"sink: another set", sink, replicaset.ErrOtherSet, "replicaSet"},
		{"sink: no right to write", sink, refused, "create-user.js"},
	} {
		t.Run(c.why, func(t *testing.T) {
			err := c.of(fmt.Errorf("step: %w", c.err))
			var final *config.Error
			if !errors.As(err, &final) || !usererror.IsFinal(err) {
				t.Fatalf("got %v, want a *config.Error", err)
			}
			if !strings.Contains(final.Remedy, c.remedy) {
				t.Errorf("the remedy %q lacks %q", final.Remedy, c.remedy)
			}
			if text := err.Error(); strings.Contains(text, "lsid") || strings.Contains(text, "readWrite") {
				t.Errorf("the command, or a broad role, is in %q", text)
			}
			if final.Err == nil {
				t.Error("the cause is lost")
			}
		})
	}
	temporary := errors.New("connection refused")
	for _, of := range []func(error) error{tailed, listing, sink} {
		if err := of(temporary); !errors.Is(err, temporary) || err.Error() != temporary.Error() || usererror.IsFinal(err) {
			t.Errorf("got %v, want it unchanged", err)
		}
	}
}
