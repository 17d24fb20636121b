package mongotest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// ErrNoPrimary is returned if no member is primary.
var ErrNoPrimary = errors.New("no member is primary")

// helloTimeout bounds the wait for the reply of a member that may be paused.
const helloTimeout = time.Second

// hello is the used part of the reply to the command hello.
type hello struct {
	Primary    bool          `bson:"isWritablePrimary"`
	Secondary  bool          `bson:"secondary"`
	Arbiter    bool          `bson:"arbiterOnly"`
	ElectionID bson.ObjectID `bson:"electionId"` // increases with each election
}

func (m *Member) hello(ctx context.Context) (hello, error) {
	ctx, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	var h hello
	err := run(ctx, m.direct(), bson.D{{Key: "hello", Value: 1}}, &h)
	return h, err
}

// hellos returns the replies of all members; the zero value for a member without a reply.
func (s *ReplicaSet) hellos(ctx context.Context) []hello {
	answers := make([]hello, len(s.members))
	var asked sync.WaitGroup
	for i, m := range s.members {
		asked.Go(func() {
			if h, err := m.hello(ctx); err == nil {
				answers[i] = h
			}
		})
	}
	asked.Wait()
	return answers
}

// Primary returns the member that reports to be primary; of two, the one elected later.
func (s *ReplicaSet) Primary(ctx context.Context) (*Member, error) {
	var primary *Member
	var elected bson.ObjectID
	for i, h := range s.hellos(ctx) {
		if h.Primary && (primary == nil || bytes.Compare(h.ElectionID[:], elected[:]) > 0) {
			primary, elected = s.members[i], h.ElectionID
		}
	}
	if primary == nil {
		return nil, ErrNoPrimary
	}
	return primary, nil
}

// WaitPrimary waits until there is a primary.
func (s *ReplicaSet) WaitPrimary(ctx context.Context) (primary *Member, err error) {
	err = poll(ctx, "a primary", func(ctx context.Context) error {
		primary, err = s.Primary(ctx)
		return err
	})
	return primary, err
}

// WaitReady waits until there is one primary and all other members are secondaries or arbiters.
func (s *ReplicaSet) WaitReady(ctx context.Context) error {
	return poll(ctx, "all members to be ready", func(ctx context.Context) error {
		primaries, others := 0, 0
		answers := s.hellos(ctx)
		for _, h := range answers {
			switch {
			case h.Primary:
				primaries++
			case h.Secondary, h.Arbiter:
				others++
			}
		}
		if primaries != 1 || primaries+others != len(answers) {
			return fmt.Errorf("states %+v", answers)
		}
		return nil
	})
}

// StepDown steps the primary down and waits for the next one: another member if one is electable, otherwise the same one
// after a second.
func (s *ReplicaSet) StepDown(ctx context.Context) (*Member, error) {
	old, err := s.WaitPrimary(ctx)
	if err != nil {
		return nil, err
	}
	cmd := bson.D{{Key: "replSetStepDown", Value: 30}}
	if s.options.dataMembers() == 1 {
		cmd = bson.D{{Key: "replSetStepDown", Value: 1}, {Key: "secondaryCatchUpPeriodSecs", Value: 0}, {Key: "force", Value: true}}
	}
	if err := old.admin(ctx, cmd, nil); err != nil {
		return nil, fmt.Errorf("step down %s: %w", old.Addr(), err)
	}
	return s.WaitPrimary(ctx)
}
