package replicaset

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// NoPrimary queries each host for why the driver finds no primary, and returns the
// answers host by host; nil where one of them would do. A standalone server and a router
// take writes too. The error wraps ErrTooOld, ErrStandalone or ErrOtherSet where waiting
// will not help.
func NoPrimary(ctx context.Context, s Seeds) error {
	hosts := s.Hosts
	answers, errs := askAll(ctx, s.Options, hosts)
	// As in the driver, the members' own names are used, not the seeds'.
	if own := ownNames(answers); len(own) > 0 && !s.Direct {
		hosts = own
		answers, errs = askAll(ctx, s.Options, hosts)
	}
	for _, h := range answers {
		errs[h.Host] = h.unwritable(s.Options)
	}
	var all []error
	for _, host := range hosts {
		err := errs[host]
		alone := errors.Is(err, ErrMongos) || errors.Is(err, ErrStandalone)
		if err == nil || alone && setName(s.Options) == "" {
			return nil
		}
		all = append(all, fmt.Errorf("%s: %w", host, err))
	}
	return errors.Join(all...)
}

// ownNames lists the data-bearing members by the names that the set's configuration has.
func ownNames(answers []hello) []string {
	var names []string
	for _, h := range answers {
		for _, host := range h.names() {
			if !slices.Contains(names, host) {
				names = append(names, host)
			}
		}
	}
	return names
}

// unwritable returns why a member accepts no writes; nil if it does.
func (h hello) unwritable(base *options.ClientOptions) error {
	switch want := setName(base); {
	case want != "" && want != h.SetName:
		return otherSet(want, h.SetName)
	case !h.primary() && h.Primary == "":
		return fmt.Errorf("%s has no primary at the moment", h.SetName)
	case !h.primary():
		return fmt.Errorf("not the primary of %s, which is %s", h.SetName, h.Primary)
	}
	return nil
}

// setName is the set that the URI names; empty where it names none.
func setName(base *options.ClientOptions) string {
	if base.ReplicaSet == nil {
		return ""
	}
	return *base.ReplicaSet
}

func otherSet(want, is string) error {
	return fmt.Errorf("%w: the URI asks for %q, it is one of %q", ErrOtherSet, want, is)
}
