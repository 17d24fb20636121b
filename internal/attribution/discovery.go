package attribution

import (
	"context"
	"sync"

	"github.com/ddltail/ddltail/internal/replicaset"
)

// discovery looks up the members of the set in the background, once at a time. The zero value is
// ready to use.
type discovery struct {
	sync.WaitGroup
	mu      sync.Mutex
	running bool
	// ended is the last lookup that has ended, until it is read.
	ended *lookup
}

// lookup is the result of a discovery.
type lookup struct {
	view replicaset.View
	err  error
}

// start begins a lookup, unless one is running.
func (d *discovery) start(ctx context.Context, seeds replicaset.Seeds) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.running {
		return
	}
	d.running = true
	d.Go(func() {
		view, err := replicaset.Discover(ctx, seeds)
		d.mu.Lock()
		defer d.mu.Unlock()
		d.running, d.ended = false, &lookup{view, err}
	})
}

// result returns the lookup that has ended since the last call; nil if none has.
func (d *discovery) result() *lookup {
	d.mu.Lock()
	defer d.mu.Unlock()
	last := d.ended
	d.ended = nil
	return last
}
