package replicaset

import (
	"errors"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// TestReject reads what servers say of themselves. The one of a mongos is from the server's documentation: none runs in the tests.
func TestReject(t *testing.T) {
	for text, want := range map[string]error{
		`{"isWritablePrimary": true, "maxWireVersion": 17, "setName": "rs0"}`:                          nil,
		`{"isWritablePrimary": true, "msg": "isdbgrid", "maxWireVersion": 17, "ok": 1}`:                ErrMongos,
		`{"isWritablePrimary": true, "maxWireVersion": 17}`:                                            ErrStandalone,
		`{"isWritablePrimary": false, "isreplicaset": true, "maxWireVersion": 17}`:                     ErrNotInitiated,
		`{"ismaster": true, "maxWireVersion": 8, "setName": "rs0"}`:                                    ErrTooOld,
		`{"isWritablePrimary": false, "secondary": true, "maxWireVersion": 9, "setName": "rs0"}`:       nil,
		`{"isWritablePrimary": false, "arbiterOnly": true, "maxWireVersion": 17, "setName": "rs0"}`:    nil,
		`{"isWritablePrimary": false, "secondary": false, "maxWireVersion": 17, "setName": "rs0"}`:     nil,
		`{"ismaster": true, "msg": "isdbgrid", "maxWireVersion": 8, "topologyVersion": {"counter":0}}`: ErrMongos,
	} {
		if got := parse(t, text).reject(); !errors.Is(got, want) {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

// TestUnwritable checks the reason why no member accepts writes.
func TestUnwritable(t *testing.T) {
	for _, c := range []struct{ hello, asked, want string }{
		{`{"isWritablePrimary": true, "setName": "rs0"}`, "", ""},
		{`{"isWritablePrimary": true, "setName": "rs0"}`, "rs0", ""},
		{`{"isWritablePrimary": true, "setName": "rs0"}`, "rs1", `a member of another replica set: the URI has replicaSet=rs1, the server is a member of "rs0"`},
		{`{"secondary": true, "setName": "rs0"}`, "", "rs0 currently has no primary"},
		{`{"secondary": true, "setName": "rs0", "primary": "h:1"}`, "rs0", "not the primary of rs0, which is h:1"},
	} {
		opts := options.Client()
		if c.asked != "" {
			opts.SetReplicaSet(c.asked)
		}
		got := ""
		if err := parse(t, c.hello).unwritable(opts); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s asked for %q: %q, want %q", c.hello, c.asked, got, c.want)
		}
	}
}

func parse(t *testing.T, text string) hello {
	t.Helper()
	var h hello
	if err := bson.UnmarshalExtJSON([]byte(text), false, &h); err != nil {
		t.Fatal(err)
	}
	return h
}
