package actor_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"
)

var rounds = flag.Int("rounds", 0, "how often each fault is injected; outages last longer with more rounds; 0 skips these tests")

// detectors are several processes with the same NAME. Each can read the log of one member, or those of all by getlog; the last
// one can read none.
type detectors struct {
	world
	rounds  int
	mu      sync.Mutex
	sources []string
	running []*ddltailtest.Process
}

func (w world) detectors(database, source string, rounds int) *detectors {
	w.Helper()
	d := &detectors{world: w, rounds: rounds}
	for _, m := range w.set.Members() {
		variable := "DDLTAIL_ACTOR=" + source
		if source == "file" {
			variable += ":" + m.Log()
		}
		d.sources = append(d.sources, variable)
	}
	d.sources = append(d.sources, "DDLTAIL_ACTOR=off")
	for _, source := range d.sources {
		d.running = append(d.running, w.run(database, source))
	}
	return d
}

// kill kills one of the processes (SIGKILL) and restarts it.
func (d *detectors) kill(database string, i int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.running[i].Kill(); err != nil {
		d.Error(err)
		return
	}
	p, err := ddltailtest.Start(binary, []string{"run"}, "DDLTAIL_MONGODB_URI="+d.set.URI(), "DDLTAIL_DATABASE="+database, d.sources[i])
	if err != nil {
		d.Error(err)
		return
	}
	d.Cleanup(func() { _ = p.Close() })
	d.running[i] = p
}

// TestFaults runs changes of eight users, over connections that are older than the detectors, while detectors are killed, the primary
// steps down or is killed, and logs are rotated. With 20 rounds these are 10,000 changes, 20 kills of detectors, 10 rotations, 5
// step-downs and 3 kills of the primary; with getlog a fourth of that. A server that is killed loses the lines of its ring buffer, so
// that for getlog only wrong actors are a failure.
func TestFaults(t *testing.T) {
	if *rounds == 0 {
		t.Skip("only with -rounds")
	}
	for _, c := range []struct {
		source string
		rounds int
		least  float64
	}{{"file", *rounds, 0.99}, {"getlog", (*rounds + 3) / 4, 0}} {
		t.Run(c.source, func(t *testing.T) {
			w := newWorld(t, mongotest.Options{Members: 3, ElectionTimeout: 2 * time.Second, LogFile: true})
			const database = "audit"
			done := make(chan struct{})
			var load sync.WaitGroup
			load.Go(func() { w.load(500*c.rounds, 100, done) })
			load.Go(func() { w.switchUsers(done) })
			d := w.detectors(database, c.source, c.rounds)
			d.faults(database)
			close(done)
			load.Wait()
			w.must(w.set.WaitReady(t.Context()))
			for _, p := range d.running {
				w.passed(p)
			}
			w.settled(d.running[0], database)
			if share := w.judge(database).share(); share < c.least {
				t.Errorf("%.2f %% of the changes whose line joins exactly have an actor", 100*share)
			}
		})
	}
}

// faults injects all faults, one every few seconds.
func (d *detectors) faults(database string) {
	random := rand.New(rand.NewPCG(1, 2))
	kinds := []struct {
		name  string
		count int
		run   func(i int)
	}{
		{"kill of ddltail", d.rounds, func(int) {
			i := random.IntN(len(d.running))
			d.Logf("detector %d", i)
			d.kill(database, i)
		}},
		{"rotation", (d.rounds + 1) / 2, d.rotate},
		{"step-down", (d.rounds + 3) / 4, func(int) { d.stepDown() }},
		{"kill of the primary", (3*d.rounds + 19) / 20, func(int) { d.killPrimary() }},
	}
	var all []int
	for kind, k := range kinds {
		d.Logf("%s: %d", k.name, k.count)
		all = append(all, slices.Repeat([]int{kind}, k.count)...)
	}
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for i, kind := range all {
		time.Sleep(4 * time.Second)
		began := time.Now()
		kinds[kind].run(i)
		d.Logf("%d %s, until %d", began.Unix(), kinds[kind].name, time.Now().Unix())
	}
}

// stepDown makes another member the primary. A server refuses it while no secondary has caught up.
func (d *detectors) stepDown() {
	var err error
	for range 5 {
		if _, err = d.set.StepDown(d.Context()); err == nil {
			return
		}
		time.Sleep(5 * time.Second)
	}
	d.Errorf("step down: %v", err)
}

func (d *detectors) killPrimary() {
	m, err := d.set.WaitPrimary(d.Context())
	if err != nil {
		d.Logf("find the primary: %v", err)
		return
	}
	if err := m.Kill(); err != nil {
		d.Error(err)
	}
	time.Sleep(3 * time.Second)
	if err := m.Restart(d.Context()); err != nil {
		d.Error(err)
	}
}

// rotate makes a member rename its log, or copies and truncates the log, as logrotate's copytruncate
// does.
func (d *detectors) rotate(i int) {
	m := d.set.Members()[i%len(d.set.Members())]
	d.Logf("member %d, copytruncate %v", i%len(d.set.Members()), i%2 == 1)
	if i%2 == 0 {
		if err := m.RotateLog(d.Context()); err != nil {
			d.Error(err)
		}
		return
	}
	raw, err := os.ReadFile(m.Log())
	if err == nil {
		err = os.WriteFile(fmt.Sprintf("%s.%d", m.Log(), i), raw, 0o600)
	}
	if err == nil {
		err = os.Truncate(m.Log(), 0)
	}
	if err != nil {
		d.Error(err)
	}
}

// switchUsers makes changes over connections that authenticate as another user before each change. Servers from 6.0 on refuse
// that.
func (w world) switchUsers(done <-chan struct{}) {
	major, err := mongotest.ServerMajor(w.Context())
	if err != nil || major >= 6 {
		return
	}
	random := rand.New(rand.NewPCG(3, 4))
	for connection := 0; !isClosed(done); connection++ {
		primary, err := w.set.WaitPrimary(w.Context())
		if err != nil {
			continue
		}
		// Without credentials, a connection that replaces a lost one is not authorized to do
		// anything.
		client, err := mongo.Connect(options.Client().ApplyURI("mongodb://" + primary.Addr() + "/?directConnection=true&maxPoolSize=1").SetAppName(switching))
		w.must(err)
		for i := 0; i < 50 && err == nil && !isClosed(done); i++ {
			person := []int{0, 2, 5, 6, 7}[random.IntN(5)]
			if err = authenticate(w.Context(), client, people()[person]); err == nil {
				name := fmt.Sprintf("of_%d_%d_%d", person, connection, i)
				err = client.Database(fmt.Sprintf("of_%d_%s", person, switching)).CreateCollection(w.Context(), name)
			}
			time.Sleep(50 * time.Millisecond)
		}
		_ = client.Disconnect(w.Context())
	}
}
