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
	// Members that can be read from, in no order.
	Members []Member
	// Unreachable holds, by host, why a data-bearing member could not be asked.
	Unreachable map[string]error
}

// Member is one readable member.
type Member struct {
	Host    string
	Primary bool
	// Ping is how long it took to answer, connecting included.
	Ping time.Duration
}

// Candidates orders the members in which to try them under a read preference;
// empty where it allows none of them.
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
		if rank(m) >= 0 {
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

// Reason says, host by host, why members could not be asked.
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
	Hosts   []string
	Options *options.ClientOptions
	// Direct asks for the first host alone.
	Direct bool
	// PathIsAuthSource says that the URI's path decides where the user is looked
	// up, for the hint that goes with a refused password.
	PathIsAuthSource bool
}

// Discover asks the seeds, then every member they name. The error says what
// is why no member can be read from: it wraps ErrStandalone,
// ErrMongos, ErrTooOld or ErrOtherSet where waiting will not help.
func Discover(ctx context.Context, s Seeds) (View, error) {
	answers, errs := askAll(ctx, s.Options, s.Hosts)
	known := map[string]hello{}
	for _, h := range answers {
		known[h.Host] = h
	}
	name, err := s.setName(answers, errs)
	if err != nil {
		return View{}, err
	}
	if !s.Direct {
		more, moreErrs := askAll(ctx, s.Options, unasked(answers, known, errs))
		for _, h := range more {
			known[h.Host] = h
		}
		for host, err := range moreErrs {
			errs[host] = err
		}
	}
	return newView(name, known, errs), nil
}

// setName takes the name from the first member that knows it. One answer that
// waiting cannot mend decides, unless a member of the set answered too.
func (s Seeds) setName(answers []hello, errs map[string]error) (string, error) {
	if len(answers) > 0 {
		h := answers[0]
		if want := setName(s.Options); want != "" && want != h.SetName {
			return "", fmt.Errorf("%s: %w", h.Host, otherSet(want, h.SetName))
		}
		return h.SetName, nil
	}
	var all []error
	for _, host := range s.Hosts {
		all = append(all, fmt.Errorf("%s: %w", host, errs[host]))
	}
	return "", errors.Join(all...)
}

// unasked lists the data-bearing members that the seeds did not name.
func unasked(answers []hello, known map[string]hello, errs map[string]error) []string {
	var hosts []string
	for _, h := range answers {
		for _, host := range slices.Concat(h.Hosts, h.Passives) {
			_, asked := known[host]
			_, failed := errs[host]
			// A seed may be another spelling of the member's own name.
			same := slices.ContainsFunc(answers, func(a hello) bool { return a.Me == host })
			if !asked && !failed && !same && !slices.Contains(hosts, host) {
				hosts = append(hosts, host)
			}
		}
	}
	return hosts
}

func newView(name string, known map[string]hello, errs map[string]error) View {
	v := View{SetName: name, Unreachable: map[string]error{}}
	for host, h := range known {
		switch {
		case h.SetName != name:
			v.Unreachable[host] = ErrOtherSet
		case h.readable():
			v.Members = append(v.Members, Member{Host: host, Primary: h.primary(), Ping: h.Took})
		case !h.ArbiterOnly:
			v.Unreachable[host] = errors.New("neither primary nor secondary at the moment")
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
