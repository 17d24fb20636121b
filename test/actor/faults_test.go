package actor_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"
)

var rounds = flag.Int("rounds", 0, "how often each fault happens, and what lasts grows with it; 0 leaves these tests out")

// detectors are several processes of one NAME. Each can read the log of one member, the last one none.
type detectors struct {
	world
	mu      sync.Mutex
	sources []string
	running []*ddltailtest.Process
}

func (w world) detectors(database string) *detectors {
	w.Helper()
	d := &detectors{world: w}
	for _, m := range w.set.Members() {
		d.sources = append(d.sources, "DDLTAIL_ACTOR=file:"+m.Log())
	}
	d.sources = append(d.sources, "DDLTAIL_ACTOR=off")
	for _, source := range d.sources {
		d.running = append(d.running, w.run(database, source))
	}
	return d
}

// kill ends one of the processes at once and starts it again.
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

// TestFaults has eight people make changes while detectors are killed, the primary steps down or is killed, and logs are rotated.
func TestFaults(t *testing.T) {
	if *rounds == 0 {
		t.Skip("only with -rounds")
	}
	w := newWorld(t, mongotest.Options{Members: 3, ElectionTimeout: 2 * time.Second})
	const database = "audit"
	d := w.detectors(database)
	stop := make(chan struct{})
	var faults sync.WaitGroup
	faults.Go(func() { d.faults(database, stop) })
	w.load(500**rounds, 100)
	close(stop)
	faults.Wait()
	w.must(w.set.WaitReady(t.Context()))
	w.settled(d.running[0], database)
	if share := w.judge(database).share(); share < 0.99 {
		t.Errorf("%.2f %% of the changes whose line joins exactly have an actor", 100*share)
	}
}

// faults makes one fault after the other until it is stopped.
func (d *detectors) faults(database string, stop <-chan struct{}) {
	random := rand.New(rand.NewPCG(1, 2))
	counts := map[string]int{}
	for i := 0; ; i++ {
		select {
		case <-stop:
			d.Logf("faults: %v", counts)
			return
		case <-time.After(4 * time.Second):
		}
		switch {
		case i%7 == 3:
			counts["step-down"]++
			if _, err := d.set.StepDown(d.Context()); err != nil {
				d.Logf("step down: %v", err)
			}
		case i%11 == 7:
			counts["kill of the primary"]++
			d.killPrimary()
		case i%4 == 1:
			counts["rotation"]++
			d.rotate(i)
		default:
			counts["kill of ddltail"]++
			d.kill(database, random.IntN(len(d.running)))
		}
	}
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

// rotate copies and truncates the log of a member, as logrotate's copytruncate does.
func (d *detectors) rotate(i int) {
	m := d.set.Members()[i%len(d.set.Members())]
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
