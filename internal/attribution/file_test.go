package attribution

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/actor"
)

var fileBegan = time.Date(2026, 11, 25, 14, 0, 0, 0, time.UTC)

// logged returns lines of a server, one a second from a number of seconds on.
func logged(second int, lines ...string) string {
	var text strings.Builder
	for i, line := range lines {
		at := fileBegan.Add(time.Duration(second+i) * time.Second)
		fmt.Fprintf(&text, `{"t":{"$date":"%s"},"s":"I",  "c":"X",  %s}`+"\n", at.Format("2006-01-02T15:04:05.000Z07:00"), line)
	}
	return text.String()
}

const (
	listening = `"id":23015,"ctx":"listener","msg":"m","attr":{}`
	electedIn = `"id":21450,"ctx":"ReplCoord-1","msg":"m","attr":{"term":2}`
	accepted  = `"id":22943,"ctx":"listener","msg":"m","attr":{"remote":"127.0.0.1:1","connectionId":1}`
	asAnn     = `"id":20250,"ctx":"conn1","msg":"m","attr":{"mechanism":"SCRAM-SHA-256","principalName":"ann","authenticationDatabase":"admin"}`
	dropped   = `"id":22206,"ctx":"conn1","msg":"m","attr":{"index":"a_1","namespace":"shop.x","dropTime":{"$timestamp":{"t":7,"i":1}}}`
)

// TestFileContinuity: a connection's user counts only if no lines can have been missed between it and the change. In each case the log
// is rotated between them.
func TestFileContinuity(t *testing.T) {
	cases := []struct {
		name      string
		read      bool // before the rotation; else the file is opened after it
		rename    bool // else it is copied and truncated
		remove    bool // the rotated file
		attribute bool
	}{
		{name: "renamed while it is followed", read: true, rename: true, attribute: true},
		{name: "renamed and removed while it is followed", read: true, rename: true, remove: true},
		{name: "truncated while it is followed", read: true},
		{name: "begun in a renamed file", rename: true},
		{name: "begun in the copy"},
	}
	entry := actor.Entry{TS: bson.Timestamp{T: 7, I: 1}, Term: 2, Wall: fileBegan.Add(9 * time.Second), Command: "dropIndexes", NS: "shop.x", Index: "a_1"}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "mongod.log")
			before, after := logged(0, listening, electedIn, accepted, asAnn), logged(8, electedIn, dropped)
			must(t, os.WriteFile(path, []byte(before), 0o600))
			f := &file{path: path}
			if c.read {
				open(t, f)
			}
			if c.rename {
				must(t, os.Rename(path, path+".1"))
			} else {
				must(t, os.WriteFile(path+".1", []byte(before), 0o600))
			}
			if c.remove {
				must(t, os.Remove(path+".1"))
			}
			must(t, os.WriteFile(path, []byte(after), 0o600))
			if !c.read {
				open(t, f)
			}
			defer f.follower.Close()
			if _, err := f.read(t.Context(), entry.Wall); err != nil {
				t.Fatal(err)
			}
			want := actor.Unconfirmed
			if c.attribute {
				want = actor.Found
			}
			if got, outcome := f.log.Find(entry); outcome != want {
				t.Errorf("%s %+v, want %s", outcome, got, want)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, f *file) {
	t.Helper()
	_, err := f.open(fileBegan)
	must(t, err)
	_, err = f.read(t.Context(), fileBegan)
	must(t, err)
}

// TestFileOfTwoProcesses: the error says what to do, and what was read before counts for nothing.
func TestFileOfTwoProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mongod.log")
	must(t, os.WriteFile(path, []byte(logged(0, listening, electedIn, accepted, asAnn, dropped, accepted)), 0o600))
	f := &file{path: path}
	_, err := f.open(fileBegan)
	must(t, err)
	defer f.follower.Close()
	for range 2 {
		if _, err := f.read(t.Context(), fileBegan); !errors.Is(err, errMixed) {
			t.Errorf("%v", err)
		}
	}
	if _, outcome := f.log.Find(actor.Entry{TS: bson.Timestamp{T: 7, I: 1}, Term: 2, Wall: fileBegan, Command: "dropIndexes", NS: "shop.x", Index: "a_1"}); outcome != actor.None {
		t.Error(outcome)
	}
}
