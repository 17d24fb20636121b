package replicaset

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// NoPrimary asks each host why the driver finds nobody there to write to, and gives the
// answers host by host; nil where one of them would do. A standalone server and a router
// take writes too. The error wraps ErrTooOld, ErrStandalone or ErrOtherSet where waiting
// will not help.
func NoPrimary(ctx context.Context, base *options.ClientOptions, hosts []string) error {
	answers, errs := askAll(ctx, base, hosts)
	for _, h := range answers {
		errs[h.Host] = h.unwritable(base)
	}
	var all []error
	for _, host := range hosts {
		err := errs[host]
		takesWrites := err == nil || errors.Is(err, ErrMongos) || errors.Is(err, ErrStandalone)
		if takesWrites && setName(base) == "" || err == nil {
			return nil
		}
		all = append(all, fmt.Errorf("%s: %w", host, err))
	}
	return errors.Join(all...)
}

// unwritable says why a member takes no writes; nil if it does.
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

// setName is what the URI asks for; empty where it asks for none.
func setName(base *options.ClientOptions) string {
	if base.ReplicaSet == nil {
		return ""
	}
	return *base.ReplicaSet
}

func otherSet(want, is string) error {
	return fmt.Errorf("%w: the URI asks for %q, it is one of %q", ErrOtherSet, want, is)
}
