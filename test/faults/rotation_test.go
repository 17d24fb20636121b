package faults

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/test/faults/ledger"
	"github.com/ddltail/ddltail/test/mongotest"
)

// TestPasswordsRotated changes ddltail's password repeatedly, and restarts the member that it reads from, so that ddltail is
// refused until it has read the new password.
func TestPasswordsRotated(t *testing.T) {
	slow(t)
	t.Parallel()
	slot(t)
	set := mongotest.NewReplicaSet(t, mongotest.Options{Auth: true, Members: 3, ElectionTimeout: 2 * time.Second})
	file := filepath.Join(t.TempDir(), "uri")
	write := func(password string) {
		t.Helper()
		uri := []byte(set.URIOf("rotated", password, ""))
		if err := errors.Join(os.WriteFile(file+".new", uri, 0o600), os.Rename(file+".new", file)); err != nil {
			t.Fatal(err)
		}
	}
	admin := must[*mongo.Client](t)(connect(set.URI())).Database("admin")
	user := func(command, password string) {
		t.Helper()
		err := admin.RunCommand(t.Context(), bson.D{{Key: command, Value: "rotated"}, {Key: "pwd", Value: password},
			{Key: "roles", Value: bson.A{"root"}}, {Key: "writeConcern", Value: bson.D{{Key: "w", Value: 3}}}}).Err()
		if err != nil {
			t.Fatal(err)
		}
	}
	user("createUser", "first")
	write("first")
	// The variable must be unset: only the file is rotated.
	s := newSceneOn(t, set, "DDLTAIL_MONGODB_URI=", "DDLTAIL_MONGODB_URI_FILE="+file)
	p := s.begin()
	for i := range times() {
		password := fmt.Sprint("password", i)
		user("updateUser", password)
		s.restart(s.tailed(p))
		s.while(0, 4000)
		write(password)
		if i%3 == 0 {
			s.must(p.Hangup())
		}
		s.recovered()
		s.ready(p)
	}
	s.check()
}

// TestFileRotated moves, removes and truncates the file of a sink: each change must be in a file, in order.
func TestFileRotated(t *testing.T) {
	slow(t)
	path := filepath.Join(t.TempDir(), "changes.ndjson")
	s := newScene(t, "DDLTAIL_SINKS=mongodb,file:"+path)
	p := s.begin()
	for i := range 10 * times() {
		s.while(50, 300)
		rotate(s, path, fmt.Sprintf("%s.%d", path, i), i)
		if i%4 == 0 {
			s.must(p.Hangup())
		}
	}
	// Documents that a truncation may have lost are written again with the next change.
	s.mark("after_the_last_rotation")
	end := s.finish()
	s.receiveFiles(path, 10*times())
	s.judge(end)
}

func rotate(s *scene, path, to string, way int) {
	s.Helper()
	var err error
	switch way % 3 {
	case 0:
		err = os.Rename(path, to)
	case 1:
		err = os.Rename(path, to)
		if err == nil {
			err = os.WriteFile(path, nil, 0o600)
		}
	default:
		var content []byte
		if content, err = os.ReadFile(path); err == nil {
			err = errors.Join(os.WriteFile(to, content, 0o600), os.Truncate(path, 0))
		}
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.Fatal(err)
	}
}

// receiveFiles records the complete lines of a file that was rotated, the oldest file first; a copy may end with a part of a line.
func (s *scene) receiveFiles(path string, rotations int) {
	s.Helper()
	s.others = append(s.others, ledger.Sink{Name: "file", Repeats: true})
	for i := range rotations + 1 {
		name := fmt.Sprintf("%s.%d", path, i)
		if i == rotations {
			name = path
		}
		content, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) {
			continue // that rotation failed
		}
		s.must(err)
		if bytes.IndexByte(content, 0) >= 0 {
			s.Errorf("%s has a hole", name)
		}
		s.receiveLines(name, content)
	}
}

// receiveLines records the notifications of a file.
func (s *scene) receiveLines(name string, content []byte) {
	s.Helper()
	for line := range bytes.Lines(content) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			continue
		}
		var document bson.Raw
		if err := bson.UnmarshalExtJSON(line, false, &document); err != nil {
			s.Errorf("%s: %v: %s", name, err, line)
			continue
		}
		id, _ := document.Lookup("_id").StringValueOK()
		s.received = append(s.received, ledger.Write{Sink: "file", Action: ledger.Insert, ID: id, Document: document})
	}
}

// TestSeedKilled names one member in the URI and kills it permanently, while the others step down in turn.
func TestSeedKilled(t *testing.T) {
	slow(t)
	t.Parallel()
	slot(t)
	set := mongotest.NewReplicaSet(t, mongotest.Options{Members: 3, ElectionTimeout: 2 * time.Second})
	seed := set.Members()[0]
	s := newSceneOn(t, set, "DDLTAIL_MONGODB_URI="+strings.Replace(set.URI(), set.Hosts(), seed.Addr(), 1))
	s.begin()
	s.while(1000, 2000)
	s.must(seed.Kill())
	for range times() {
		s.while(3000, 6000)
		_, err := s.set.StepDown(s.Context())
		s.Logf("step down: %v", err)
	}
	s.must(seed.Restart(t.Context()))
	s.check()
}
