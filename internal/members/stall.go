package members

import (
	"context"
	"fmt"
	"time"

	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/replicaset"
)

const (
	// StallThreshold is how old a member's newest majority-committed entry may be before other
	// members are queried: an idle primary writes a no-op every 10 s.
	StallThreshold = 30 * time.Second
	// retryPreferredAfter is how long a member outside the read preference is read before the
	// preferred ones are tried again.
	retryPreferredAfter = time.Minute
)

// Check returns an error if another member should be opened instead of m, whose newest
// majority-committed entry is head: oplog.ErrOvertaken if m has stalled, and
// oplog.ErrOutsidePreference if it is time to try the preferred members again.
func (c *Chooser) Check(ctx context.Context, m oplog.Member, head oplog.OpTime) error {
	switch now := time.Now(); {
	case !c.nonPreferredSince.IsZero():
		// A delayed member always lags and has not stalled.
		if now.Sub(c.nonPreferredSince) < retryPreferredAfter {
			return nil
		}
		return fmt.Errorf("%s: %w", m.Host, oplog.ErrOutsidePreference)
	case now.Sub(head.Time()) > StallThreshold:
		return c.checkStalled(ctx, m, head)
	}
	return nil
}

// checkStalled compares the member's newest entry with those of the other members that match
// the read preference.
func (c *Chooser) checkStalled(ctx context.Context, m oplog.Member, head oplog.OpTime) error {
	view, err := replicaset.Discover(ctx, c.Seeds)
	if err != nil {
		// If the others cannot be reached, continue reading from this one.
		return nil //nolint:nilerr // see above
	}
	for _, other := range view.Candidates(c.ReadPreference) {
		if other.Host == m.Host {
			continue
		}
		theirs, err := c.headOf(ctx, other.Host)
		if err == nil && theirs.Time().Sub(head.Time()) > StallThreshold {
			c.stalledHost = m.Host
			return fmt.Errorf("%s is at %s, %s at %s: %w", m.Host, head, other.Host, theirs, oplog.ErrOvertaken)
		}
	}
	return nil
}

func (c *Chooser) headOf(ctx context.Context, host string) (oplog.OpTime, error) {
	m, err := c.dial(ctx, host)
	if err != nil {
		return oplog.OpTime{}, err
	}
	defer m.Close()
	return m.Head(ctx)
}
