package listener

import "time"

// node is a record in the order of delivery.
type node struct {
	record
	// omitted is set for a node that represents records that the scan did not keep. It is
	// never delivered.
	omitted bool

	// after holds the nodes that wait for this one, blockers counts those that it waits for.
	after    []*node
	blockers int

	// busy is set while a worker has the record.
	busy bool
	// until is the end of the backoff, and fixed reports whether only time ends it: its
	// reason is not stored in the queue.
	until time.Time
	fixed bool
	// misconfigured is set if the last response indicates a misconfiguration.
	misconfigured bool
	// ready is set while the node is in the ready queue.
	ready bool
}

// failing reports whether an attempt to deliver the record has failed.
func (n *node) failing() bool { return n.attempts > 0 || n.misconfigured }

// graph links nodes that are added in order of position. A node waits for the last node
// before it in each of its partitions, so that a partition is a chain. Since a node waits
// only for earlier ones there is no cycle.
type graph struct {
	databases map[string]*databaseChains
	gaps      chain
}

// databaseChains is the end of each chain of one database.
type databaseChains struct {
	whole       chain
	collections map[string]*chain
}

// chain is the end of a partition for each source. Sources do not wait for each other; a
// manual record, which has no source, belongs to the chains of all sources.
type chain struct {
	// manual is the last manual node; bySource holds the nodes after it.
	manual   *node
	bySource map[string]*node
}

func newGraph() *graph { return &graph{databases: map[string]*databaseChains{}} }

// add links a node whose position is after that of all nodes before.
func (g *graph) add(n *node) {
	for _, p := range n.partitions {
		switch {
		case p.gaps:
			g.gaps.before(n)
			g.gaps.end(n)
		case p.whole:
			g.database(p.database).drop(n)
		default:
			g.database(p.database).add(n, p.collection)
		}
	}
}

func (g *graph) database(name string) *databaseChains {
	d := g.databases[name]
	if d == nil {
		d = &databaseChains{collections: map[string]*chain{}}
		g.databases[name] = d
	}
	return d
}

func (d *databaseChains) add(n *node, collection string) {
	c := d.collections[collection]
	if c == nil {
		c = &chain{}
		d.collections[collection] = c
	}
	c.before(n)
	d.whole.before(n)
	c.end(n)
}

// drop links a node of the whole database. All later ones wait for it, so that the chains of
// the collections can be forgotten.
func (d *databaseChains) drop(n *node) {
	for name, c := range d.collections {
		c.before(n)
		if c.forget(n.position.Source) {
			delete(d.collections, name)
		}
	}
	d.whole.before(n)
	d.whole.end(n)
}

// before makes n wait for the end of its chain.
func (c *chain) before(n *node) {
	source := n.position.Source
	if source == "" {
		for _, last := range c.bySource {
			n.waitFor(last)
		}
	} else if last := c.bySource[source]; last != nil {
		n.waitFor(last)
		return
	}
	n.waitFor(c.manual)
}

// end makes n the end of its chain.
func (c *chain) end(n *node) {
	if n.position.Manual() {
		c.manual, c.bySource = n, nil
		return
	}
	if c.bySource == nil {
		c.bySource = map[string]*node{}
	}
	c.bySource[n.position.Source] = n
}

// forget drops the chain of a source, all chains if it is empty, and reports whether none
// is left.
func (c *chain) forget(source string) bool {
	if source == "" {
		return true
	}
	delete(c.bySource, source)
	return len(c.bySource) == 0 && c.manual == nil
}

func (n *node) waitFor(earlier *node) {
	if earlier == nil || earlier == n {
		return
	}
	if k := len(earlier.after); k > 0 && earlier.after[k-1] == n {
		return // linked already, by another partition
	}
	earlier.after = append(earlier.after, n)
	n.blockers++
}
