package replicaset

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// NoPrimary queries each host for the reason why the driver finds no primary, and returns the
// reasons by host; nil if one of them accepts writes, as a standalone server and a router do. The
// error wraps ErrTooOld, ErrStandalone or ErrOtherSet if it is permanent.
func NoPrimary(ctx context.Context, s Seeds) error {
	hosts := s.Hosts
	answers, errs := askAll(ctx, s.Options, hosts)
	// Like the driver, use the members' names in the configuration, not those of the seeds.
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

// ownNames lists the data-bearing members by their names in the set's configuration.
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
		return fmt.Errorf("%s currently has no primary", h.SetName)
	case !h.primary():
		return fmt.Errorf("not the primary of %s, which is %s", h.SetName, h.Primary)
	}
	return nil
}

// setName returns the replicaSet of the URI; empty if it has none.
func setName(base *options.ClientOptions) string {
	if base.ReplicaSet == nil {
		return ""
	}
	return *base.ReplicaSet
}

func otherSet(want, is string) error {
	return fmt.Errorf("%w: the URI has replicaSet=%s, the server is a member of %q", ErrOtherSet, want, is)
}
