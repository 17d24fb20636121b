package actor_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"
)

// TestReopenedLog rotates logs as logrotate does where the server is started with logRotate: reopen. The file that ddltail reads is a
// link to the log.
func TestReopenedLog(t *testing.T) {
	w := newWorld(t, mongotest.Options{LogFile: true, Args: []string{"--logRotate", "reopen"}})
	m := w.set.Members()[0]
	link := filepath.Join(t.TempDir(), "mongod.log")
	w.must(os.Symlink(m.Log(), link))
	p := w.run("audit", "DDLTAIL_ACTOR=file:"+link)
	w.changeWhile(400, 80, func(i int) {
		w.must(os.Rename(m.Log(), fmt.Sprint(m.Log(), ".", i+1)))
		w.must(m.RotateLog(t.Context()))
	})
	w.settled(p, "audit")
	w.expectShare("audit", 0.99)
	w.expectStatus("audit", "DDLTAIL_ACTOR=file:"+link, "file:"+link)
}

// TestContainerLogs reads logs as Docker (json-file) and Kubernetes (CRI) store the output of a container, with their own rotation.
func TestContainerLogs(t *testing.T) {
	for name, wrap := range map[string]func(line []byte) []byte{"docker": asDocker, "cri": asCRI} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, mongotest.Options{})
			c := &container{path: filepath.Join(t.TempDir(), "0.log"), wrap: wrap}
			ctx, cancel := context.WithCancel(t.Context())
			var copying sync.WaitGroup
			copying.Go(func() { w.must(c.follow(ctx, w.set.Members()[0].Log())) })
			defer copying.Wait()
			defer cancel()
			p := w.run("audit", "DDLTAIL_ACTOR=file:"+c.path)
			w.changeWhile(400, 80, func(int) { w.must(c.rotate()) })
			w.settled(p, "audit")
			w.expectShare("audit", 0.99)
			if t.Failed() {
				t.Log(c.files())
			}
		})
	}
}

// changeWhile makes changes, and calls a function three times during them. Two rotations within a second would leave to doubt whether
// a log continues the one before.
func (w world) changeWhile(changes, perSecond int, during func(i int)) {
	w.Helper()
	done := make(chan struct{})
	var load sync.WaitGroup
	load.Go(func() { w.load(changes, perSecond, done) })
	for i := range 3 {
		time.Sleep(time.Duration(changes) * time.Second / time.Duration(4*perSecond))
		during(i)
	}
	close(done)
	load.Wait()
}

// expectShare checks the actors of all changes, and the share of those that must have an exact one.
func (w world) expectShare(database string, least float64) {
	w.Helper()
	if share := w.judge(database).share(); share < least {
		w.Errorf("%.1f %% of the changes whose line joins exactly have an actor, want %.0f %%", 100*share, 100*least)
	}
}

// expectStatus checks the rows of `status` about actors: that the source works, and how many of the last changes have an actor.
func (w world) expectStatus(database, variable, source string) {
	w.Helper()
	p, err := ddltailtest.Start(binary, []string{"status"}, "DDLTAIL_MONGODB_URI="+w.set.URI(), "DDLTAIL_DATABASE="+database, variable)
	w.must(err)
	defer func() { _ = p.Close() }()
	_, err = p.Wait(w.Context())
	w.must(err)
	var counts string
	for row := range strings.Lines(p.Stdout()) {
		if label, value, _ := strings.Cut(row, "  "); label == "actors" {
			counts = strings.TrimSpace(value)
		}
	}
	var last, byLog int
	_, err = fmt.Sscanf(counts, "of the last %d changes %d by the log,", &last, &byLog)
	if err != nil || byLog == 0 || byLog > last || !strings.Contains(p.Stdout(), source+" works") {
		w.Errorf("`status` says\n%s", p.Stdout())
	}
}

// container stores the output of a server as a container's runtime does.
type container struct {
	path string
	wrap func(line []byte) []byte

	mu      sync.Mutex
	rotated int
}

// follow copies complete lines of a log until the context ends.
func (c *container) follow(ctx context.Context, log string) error {
	copied := 0
	for ctx.Err() == nil {
		raw, err := os.ReadFile(log)
		if err != nil {
			return err
		}
		var out bytes.Buffer
		for line := range bytes.Lines(raw[copied:]) {
			if !bytes.HasSuffix(line, []byte("\n")) {
				break
			}
			copied += len(line)
			out.Write(c.wrap(bytes.TrimSuffix(line, []byte("\n"))))
		}
		if err := c.append(out.Bytes()); err != nil {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
	return nil
}

func (c *container) append(text []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	file, err := os.OpenFile(c.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.Write(text)
	return err
}

func (c *container) rotate() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rotated++
	return os.Rename(c.path, fmt.Sprintf("%s.20261126-%06d", c.path, c.rotated))
}

// files lists the files with their sizes, and how many lines of the server were written to each.
func (c *container) files() string {
	var text strings.Builder
	paths, _ := filepath.Glob(c.path + "*")
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		fmt.Fprintln(&text, path, len(raw), "bytes", bytes.Count(raw, []byte(`{"t":{`)), "lines", err)
	}
	return text.String()
}

func asDocker(line []byte) []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(struct {
		Log    string    `json:"log"`
		Stream string    `json:"stream"`
		Time   time.Time `json:"time"`
	}{string(line) + "\n", "stdout", time.Now().UTC()})
	return out.Bytes()
}

// asCRI splits a line, as runtimes do with those that are longer than their buffer.
func asCRI(line []byte) []byte {
	const buffer = 200
	var out bytes.Buffer
	now := time.Now().UTC().Format(time.RFC3339Nano)
	for ; len(line) > buffer; line = line[buffer:] {
		fmt.Fprintf(&out, "%s stdout P %s\n", now, line[:buffer])
	}
	fmt.Fprintf(&out, "%s stdout F %s\n", now, line)
	return out.Bytes()
}
