package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/fetch"
)

// rotatedChanges is how many changes are made while their file is rotated.
const rotatedChanges = 350

// TestLogrotate rotates the file of a running ddltail with logrotate, in each of its
// modes, while changes are made: no line may be lost or split, and no file may have a
// hole.
func TestLogrotate(t *testing.T) {
	logrotate := logrotateBinary(t)
	for name, directives := range map[string]string{
		"create":       "create",
		"nocreate":     "nocreate\npostrotate\nkill -HUP $(cat %s)\nendscript",
		"copytruncate": "copytruncate",
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, "rotated_"+name)
			dir := t.TempDir()
			path, pid := filepath.Join(dir, "changes.ndjson"), filepath.Join(t.TempDir(), "pid")
			p := s.start("DDLTAIL_SINKS=mongodb,file:"+path, "DDLTAIL_NAMESPACES="+s.db.Name()+".*")
			s.must(os.WriteFile(pid, []byte(fmt.Sprint(p.Pid())), 0o600))
			r := rotator{logrotate, filepath.Join(t.TempDir(), "state"), filepath.Join(t.TempDir(), "conf")}
			s.must(os.WriteFile(r.config, []byte(path+" {\nrotate 10000\nmissingok\n"+strings.ReplaceAll(directives, "%s", pid)+"\n}\n"), 0o600))

			s.makeIndexChanges(rotatedChanges, func() { s.must(r.rotate()) })
			published := s.documents("schema_history", rotatedChanges+1)
			s.until("the last change is in a file", func() bool {
				return fileIDs(t, dir, name == "copytruncate")[published[len(published)-1].Lookup("_id").StringValue()]
			})
			ids := fileIDs(t, dir, name == "copytruncate")
			for _, doc := range published {
				if id := doc.Lookup("_id").StringValue(); !ids[id] {
					t.Errorf("%s is in no file", id)
				}
			}
			stopped(t, p)
		})
	}
}

// stopped stops the process, and checks that SIGHUP has not ended it before.
func stopped(t *testing.T, p *ddltailtest.Process) {
	t.Helper()
	if code, err := p.Stop(t.Context()); code != 0 || err != nil {
		t.Errorf("exit %d, %v", code, err)
	}
}

// makeIndexChanges creates a collection, makes at least n changes of its indexes, and
// calls rotate meanwhile.
func (s scene) makeIndexChanges(n int, rotate func()) {
	s.Helper()
	const indexes = 25
	s.run(bson.D{{Key: "create", Value: "c"}})
	for made := 0; made < n; made += 2 * indexes {
		var specs bson.A
		for i := range indexes {
			name := fmt.Sprintf("f%d", i)
			specs = append(specs, bson.D{{Key: "key", Value: bson.D{{Key: name, Value: 1}}}, {Key: "name", Value: name}})
		}
		s.run(bson.D{{Key: "createIndexes", Value: "c"}, {Key: "indexes", Value: specs}})
		rotate()
		s.run(bson.D{{Key: "dropIndexes", Value: "c"}, {Key: "index", Value: "*"}})
		rotate()
	}
}

type rotator struct{ binary, state, config string }

func (r rotator) rotate() error {
	out, err := exec.Command(r.binary, "--force", "--state", r.state, r.config).CombinedOutput()
	if err != nil {
		return fmt.Errorf("logrotate: %w: %s", err, out)
	}
	return nil
}

func logrotateBinary(t *testing.T) string {
	t.Helper()
	path, err := fetch.Path(t.Context(), "logrotate.sh")
	if err != nil {
		t.Skipf("no logrotate: %v", err)
	}
	if path, err = filepath.Abs(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// fileIDs returns the _ids of all complete lines in a folder. A copy made during a write can
// end with a partial line.
func fileIDs(t *testing.T, dir string, copies bool) map[string]bool {
	t.Helper()
	ids := map[string]bool{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.IndexByte(content, 0) >= 0 {
			t.Errorf("%s has a hole", e.Name())
		}
		addIDs(t, e.Name(), content, copies, ids)
	}
	return ids
}

func addIDs(t *testing.T, name string, content []byte, copies bool, ids map[string]bool) {
	t.Helper()
	for lines := json.NewDecoder(bytes.NewReader(content)); ; {
		var line struct {
			ID string `json:"_id"`
		}
		err := lines.Decode(&line)
		if errors.Is(err, io.EOF) || copies && errors.Is(err, io.ErrUnexpectedEOF) {
			return
		}
		if err != nil {
			t.Errorf("%s: a line is split: %v", name, err)
			return
		}
		ids[line.ID] = true
	}
}

// TestHangup checks that SIGHUP never ends a daemon, and that a failed reopen is reported
// until it succeeds.
func TestHangup(t *testing.T) {
	s := newScene(t, "hangup_db")
	dir := filepath.Join(t.TempDir(), "sink")
	s.must(os.Mkdir(dir, 0o700))
	p := s.start("DDLTAIL_SINKS=mongodb,file:"+filepath.Join(dir, "changes.ndjson"), "DDLTAIL_NAMESPACES=hangup_db.*")
	s.must(p.Hangup())
	s.must(os.Rename(dir, dir+".old"))
	s.run(bson.D{{Key: "create", Value: "c"}})
	s.until("/readyz names the sink", func() bool {
		code, body, err := p.Get(t.Context(), "/readyz")
		return err == nil && code == 503 && strings.Contains(body, "sink file") && strings.Contains(body, "no such file")
	})
	s.must(os.Mkdir(dir, 0o700))
	s.until("the file has the change", func() bool { return len(fileIDs(t, dir, false)) == 1 })
	s.must(p.WaitReady(t.Context()))
	stopped(t, p)

	listening := s.launch([]string{"listen", "--stdout"}, "DDLTAIL_MONGODB_URI="+s.uri)
	s.must(listening.WaitReady(t.Context()))
	s.must(listening.Hangup())
	stopped(t, listening)
}
