package replicaset

import (
	"slices"
	"sync"
)

// Known remembers the members of the set's configuration as last seen, by the names of the
// horizon that answered. Hidden members are not among them. A nil Known knows none.
type Known struct {
	mu      sync.Mutex
	hosts   []string
	version int64
}

// Hosts returns the members, sorted.
func (k *Known) Hosts() []string {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.hosts)
}

// Restore sets members that an earlier process saw, if none were seen since.
func (k *Known) Restore(hosts []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.hosts) == 0 {
		k.hosts = slices.Clone(hosts)
	}
}

// learn replaces the members by those that the primary names. Without one it takes the
// newest configuration, unless an even newer one was seen.
func (k *Known) learn(set string, answers []hello) {
	var newest hello
	for _, h := range answers {
		if h.SetName != set || len(h.names()) == 0 {
			continue
		}
		if h.primary() && !newest.primary() || h.primary() == newest.primary() && h.SetVersion > newest.SetVersion {
			newest = h
		}
	}
	if k == nil || len(newest.names()) == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !newest.primary() && newest.SetVersion < k.version {
		return
	}
	k.hosts, k.version = newest.names(), newest.SetVersion
	slices.Sort(k.hosts)
}
