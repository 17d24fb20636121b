package replicaset

import (
	"slices"
	"sync"
)

// Known holds the members of the last known set configuration, by their names in the client's
// horizon, without hidden members. A nil Known is empty.
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

// Restore sets members that an earlier process recorded, if none are known.
func (k *Known) Restore(hosts []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.hosts) == 0 {
		k.hosts = slices.Clone(hosts)
	}
}

// learn replaces the members by those that the primary reports. Without a primary it uses the newest
// configuration, unless a newer one is known.
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
