package replicaset

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
)

const selectionTimeout = 5 * time.Second

// View is a replica set as its members described it at one moment.
type View struct {
	SetName string
	// Members that can be read from, in the order of their names.
	Members []Member
	// Unreachable holds, by host, why a data-bearing member could not be reached.
	Unreachable map[string]error
	// Direct is true if the connection is direct, to one member.
	Direct bool
	// Primary is the host that a member names as the primary; empty if none does.
	Primary string
}

// Member is one readable member.
type Member struct {
	Host    string
	Primary bool
	// Hidden and Delayed members are not chosen to tail: a delayed one reports changes late.
	Hidden, Delayed bool
	// Ping is how long it took to answer, connecting included.
	Ping time.Duration
}

// Reserve reports whether the member is read from only if no other holds the position.
func (m Member) Reserve() bool { return m.Hidden || m.Delayed }

// Candidates orders the members in which to try them under a read preference;
// empty where it allows none of them. A hidden or delayed member is one only if the
// connection is direct.
func (v View) Candidates(mode readpref.Mode) []Member {
	rank := func(m Member) int {
		switch mode {
		case readpref.PrimaryMode:
			return choose(m.Primary, 0, -1)
		case readpref.SecondaryMode:
			return choose(m.Primary, -1, 0)
		case readpref.SecondaryPreferredMode:
			return choose(m.Primary, 1, 0)
		case readpref.NearestMode:
			return 0
		default:
			return choose(m.Primary, 0, 1)
		}
	}
	var out []Member
	for _, m := range v.Members {
		if rank(m) >= 0 && (v.Direct || !m.Reserve()) {
			out = append(out, m)
		}
	}
	slices.SortStableFunc(out, func(a, b Member) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return int(a.Ping - b.Ping)
	})
	return out
}

// HasPrimary reports whether a primary is visible. A direct connection shows one member
// alone, which names the primary that it sees.
func (v View) HasPrimary() bool {
	return v.Direct && v.Primary != "" || slices.ContainsFunc(v.Members, func(m Member) bool { return m.Primary })
}

// Reason returns, host by host, why members could not be reached.
func (v View) Reason() error {
	if len(v.Unreachable) == 0 {
		return errors.New("no other member is known")
	}
	hosts := slices.Sorted(maps.Keys(v.Unreachable))
	errs := make([]error, len(hosts))
	for i, host := range hosts {
		errs[i] = fmt.Errorf("%s: %w", host, v.Unreachable[host])
	}
	return errors.Join(errs...)
}

func choose(primary bool, yes, no int) int {
	if primary {
		return yes
	}
	return no
}

// Seeds is where to begin looking.
type Seeds struct {
	// Hosts are the hosts in the URI.
	Hosts   []string
	Options *options.ClientOptions
	// Direct is true if only the first host is used.
	Direct bool
	// Known are members that are queried in addition to Hosts; nil for none.
	Known *Known
	// PathIsAuthSource is true if the URI's path decides where the user is looked
	// up, for the hint that is added to a refused password.
	PathIsAuthSource bool
}

// hosts lists the URI's hosts, then the members of the set's configuration as last seen.
func (s Seeds) hosts() []string {
	hosts := slices.Clone(s.Hosts)
	if s.Direct {
		return hosts
	}
	for _, host := range s.Known.Hosts() {
		if !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// Discover queries the seeds, then every member they name. The error says what
// is why no member can be read from: it wraps ErrStandalone,
// ErrMongos, ErrTooOld or ErrOtherSet where waiting will not help.
func Discover(ctx context.Context, s Seeds) (View, error) {
	hosts := s.hosts()
	answers, errs := askAll(ctx, s.Options, hosts)
	name, err := s.setName(hosts, answers, errs)
	if err != nil {
		return View{}, err
	}
	if !s.Direct {
		more, moreErrs := askAll(ctx, s.Options, unasked(answers, hosts))
		answers = append(answers, more...)
		for host, err := range moreErrs {
			errs[host] = err
		}
		s.Known.learn(name, answers)
		s.forgetLeft(errs)
	}
	return newView(name, canonical(answers, errs), errs, s.Direct), nil
}

// forgetLeft removes what became of members that have left the set's configuration.
func (s Seeds) forgetLeft(errs map[string]error) {
	if s.Known == nil {
		return
	}
	known := s.Known.Hosts()
	for host := range errs {
		if !slices.Contains(s.Hosts, host) && !slices.Contains(known, host) {
			delete(errs, host)
		}
	}
}

// setName returns the name of the URI's set, else that of the first member that answered.
// One permanent error decides, unless a member of the set answered, too.
func (s Seeds) setName(hosts []string, answers []hello, errs map[string]error) (string, error) {
	want := setName(s.Options)
	if slices.ContainsFunc(answers, func(h hello) bool { return h.SetName == want }) {
		return want, nil
	}
	if len(answers) > 0 {
		h := answers[0]
		if want != "" {
			return "", fmt.Errorf("%s: %w", h.Host, otherSet(want, h.SetName))
		}
		return h.SetName, nil
	}
	var all []error
	for _, host := range hosts {
		all = append(all, fmt.Errorf("%s: %w", host, errs[host]))
	}
	return "", errors.Join(all...)
}

// unasked lists the members named that were not queried, among them those that answered
// under another name: a service's name may lead to another member the next time.
func unasked(answers []hello, asked []string) []string {
	var hosts []string
	for _, h := range answers {
		for _, host := range append(h.names(), h.Me) {
			if host != "" && !slices.Contains(asked, host) && !slices.Contains(hosts, host) {
				hosts = append(hosts, host)
			}
		}
	}
	return hosts
}

// canonical reduces the answers to one for each member: that under the member's own name,
// else that under the URI's spelling of it, where the own name does not lead to it.
func canonical(answers []hello, errs map[string]error) []hello {
	var out []hello
	for _, h := range answers {
		own := slices.ContainsFunc(answers, func(a hello) bool { return a.Host == h.Me })
		earlier := slices.ContainsFunc(out, func(a hello) bool { return h.Me != "" && a.Me == h.Me })
		if h.Me != h.Host && (own || earlier) {
			continue
		}
		if h.Me != h.Host {
			delete(errs, h.Me)
		}
		out = append(out, h)
	}
	return out
}

func newView(name string, answers []hello, errs map[string]error, direct bool) View {
	v := View{SetName: name, Unreachable: map[string]error{}, Direct: direct}
	for _, h := range answers {
		switch {
		case h.SetName != name:
			v.Unreachable[h.Host] = ErrOtherSet
			continue
		case h.readable():
			v.Members = append(v.Members, Member{Host: h.Host, Primary: h.primary(), Hidden: h.Hidden, Delayed: h.delayed(), Ping: h.Took})
		case !h.ArbiterOnly:
			v.Unreachable[h.Host] = errors.New("neither primary nor secondary at the moment")
		}
		if h.Primary != "" && (v.Primary == "" || h.primary()) {
			v.Primary = h.Primary
		}
	}
	for host, err := range errs {
		v.Unreachable[host] = err
	}
	slices.SortFunc(v.Members, func(a, b Member) int { return strings.Compare(a.Host, b.Host) })
	return v
}

func askAll(ctx context.Context, opts *options.ClientOptions, hosts []string) ([]hello, map[string]error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	answers := map[string]hello{}
	errs := map[string]error{}
	for _, host := range hosts {
		wg.Go(func() {
			h, err := ask(ctx, opts, host)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs[host] = err
				return
			}
			answers[host] = h
		})
	}
	wg.Wait()
	ordered := make([]hello, 0, len(answers))
	for _, host := range hosts {
		if h, ok := answers[host]; ok {
			ordered = append(ordered, h)
		}
	}
	return ordered, errs
}
