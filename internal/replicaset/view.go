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

// View is the state of a replica set according to its members' replies.
type View struct {
	SetName string
	// Members that can be read from, in the order of their names.
	Members []Member
	// Unreachable holds, by host, why a data-bearing member could not be reached.
	Unreachable map[string]error
	// Direct is true for a direct connection to one member.
	Direct bool
	// Primary is the host that a member reports as the primary; empty if none does.
	Primary string
}

// Member is one readable member.
type Member struct {
	Host    string
	Primary bool
	// Hidden and Delayed members are not selected for tailing: a delayed one has changes late.
	Hidden, Delayed bool
	// Ping is how long the reply took, including connecting.
	Ping time.Duration
}

// Reserve reports whether the member is read only if no other has the position.
func (m Member) Reserve() bool { return m.Hidden || m.Delayed }

// Candidates returns the members in the order in which to try them for a read preference; empty if
// it allows none of them. Hidden and delayed members are included only for a direct connection.
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

// HasPrimary reports whether a primary is known. With a direct connection, this is the primary that
// the member reports.
func (v View) HasPrimary() bool {
	return v.Direct && v.Primary != "" || slices.ContainsFunc(v.Members, func(m Member) bool { return m.Primary })
}

// Reason returns, by host, why members could not be reached.
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

// Seeds are the hosts from which the members are discovered.
type Seeds struct {
	// Hosts are the hosts in the URI.
	Hosts   []string
	Options *options.ClientOptions
	// Direct is true if only the first host is used.
	Direct bool
	// Known are members that are queried in addition to Hosts; nil for none.
	Known *Known
	// PathIsAuthSource is true if the URI's path is the authSource, for a hint in the error for a
	// refused password.
	PathIsAuthSource bool
}

// hosts lists the URI's hosts, then the members of the last known set configuration.
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

// Discover queries the seeds, then every member that they report. The error has the reasons why no
// member can be read: it wraps ErrStandalone, ErrMongos, ErrTooOld or ErrOtherSet if it is
// permanent.
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

// forgetLeft removes the errors of members that were removed from the set's configuration.
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

// setName returns the name of the URI's set, else that of the first member that answered. A permanent
// error is returned, unless a member of the set answered.
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

// unasked lists the reported members that were not queried, including those that answered under
// another name: a service's name may resolve to another member the next time.
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

// canonical reduces the replies to one for each member: that for the member's name in the
// configuration, or else that for its name in the URI, if the former cannot be reached.
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
			v.Unreachable[h.Host] = errors.New("currently neither primary nor secondary")
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
