package mongotest

import (
	"context"
	"errors"
	"fmt"
	"math"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// Error codes of a reconfiguration that is too early after another one.
const (
	codeConfigurationInProgress      = 109
	codeCurrentConfigNotCommittedYet = 308
)

// Initiate initiates a set that was started with Uninitiated, with the first member as primary, waits like StartReplicaSet, and
// creates the root user if Auth is set.
func (s *ReplicaSet) Initiate(ctx context.Context) error {
	first := s.members[0]
	if err := first.admin(ctx, bson.D{{Key: "replSetInitiate", Value: s.firstConfig()}}, nil); err != nil {
		return fmt.Errorf("initiate: %w", err)
	}
	// Otherwise a set of several members waits an election timeout for its first primary.
	err := poll(ctx, "the first primary", func(ctx context.Context) error {
		if state, err := first.hello(ctx); err == nil && state.Primary {
			return nil
		}
		return first.admin(ctx, bson.D{{Key: "replSetStepUp", Value: 1}}, nil)
	})
	if err != nil {
		return err
	}
	if err := s.WaitReady(ctx); err != nil {
		return err
	}
	if err := first.note(ctx, s.options.dataMembers()); err != nil {
		return err
	}
	if !s.options.Auth {
		return nil
	}
	return s.createRoot(ctx, first)
}

// note writes an oplog entry and waits until the given number of members have it. A new secondary reports its state before it
// has found a sync source; if that is paused meanwhile, it needs a minute to choose another.
func (m *Member) note(ctx context.Context, acknowledgements int) error {
	err := m.admin(ctx, bson.D{
		{Key: "appendOplogNote", Value: 1},
		{Key: "data", Value: bson.D{{Key: "msg", Value: "replication works"}}},
		{Key: "writeConcern", Value: bson.D{{Key: "w", Value: acknowledgements}}},
	}, nil)
	if err != nil {
		return fmt.Errorf("write a first oplog entry: %w", err)
	}
	return nil
}

func (s *ReplicaSet) firstConfig() bson.D {
	var members bson.A
	for i, m := range s.members {
		members = append(members, bson.D{{Key: "_id", Value: i}, {Key: "host", Value: m.Addr()}, {Key: "arbiterOnly", Value: m.arbiter}})
	}
	config := bson.D{{Key: "_id", Value: s.Name()}, {Key: "members", Value: members}}
	if t := s.options.ElectionTimeout; t > 0 {
		config = append(config, bson.E{Key: "settings", Value: bson.D{
			{Key: "electionTimeoutMillis", Value: t.Milliseconds()},
			// With the default interval of 2 s, a shorter timeout could expire between two heartbeats.
			{Key: "heartbeatIntervalMillis", Value: t.Milliseconds() / 4},
			// A new primary waits for every member before it accepts writes; for a paused one until this
			// timeout.
			{Key: "heartbeatTimeoutSecs", Value: int64(max(1, math.Ceil(t.Seconds())))},
		}})
	}
	return config
}

// createRoot waits until every member knows the user, so that direct connections to each can log in.
func (s *ReplicaSet) createRoot(ctx context.Context, primary *Member) error {
	if err := primary.createRoot(ctx, s.options.dataMembers()); err != nil {
		return err
	}
	for _, m := range s.members {
		m.login = !m.arbiter
	}
	return nil
}

func (m *Member) createRoot(ctx context.Context, acknowledgements int) error {
	err := m.admin(ctx, bson.D{
		{Key: "createUser", Value: RootUser},
		{Key: "pwd", Value: RootPassword},
		{Key: "roles", Value: bson.A{"root"}},
		{Key: "writeConcern", Value: bson.D{{Key: "w", Value: acknowledgements}}},
	}, nil)
	if err != nil {
		return fmt.Errorf("create the user %s: %w", RootUser, err)
	}
	return nil
}

// Reconfig changes the set's configuration as edit does, and retries while an earlier change is in progress. Documents in the
// configuration are of type [bson.M], arrays [bson.A]; its version is incremented automatically.
func (s *ReplicaSet) Reconfig(ctx context.Context, edit func(config bson.M)) error {
	return poll(ctx, "a reconfiguration", func(ctx context.Context) error {
		primary, err := s.Primary(ctx)
		if err != nil {
			return err
		}
		err = primary.reconfig(ctx, edit)
		var refused mongo.ServerError
		tooEarly := errors.As(err, &refused) &&
			(refused.HasErrorCode(codeConfigurationInProgress) || refused.HasErrorCode(codeCurrentConfigNotCommittedYet))
		if err != nil && !tooEarly {
			return giveUp{fmt.Errorf("reconfigure: %w", err)}
		}
		return err
	})
}

func (m *Member) reconfig(ctx context.Context, edit func(bson.M)) error {
	var reply struct {
		Config bson.M `bson:"config"`
	}
	if err := m.admin(ctx, bson.D{{Key: "replSetGetConfig", Value: 1}}, &reply); err != nil {
		return err
	}
	edit(reply.Config)
	version, ok := reply.Config["version"].(int32)
	if !ok {
		return fmt.Errorf("the configuration's version is %v", reply.Config["version"])
	}
	reply.Config["version"] = version + 1
	return m.admin(ctx, bson.D{{Key: "replSetReconfig", Value: reply.Config}}, nil)
}

// Add starts a fresh member, adds it to the configuration, and waits until it has synced and is ready, like all others.
func (s *ReplicaSet) Add(ctx context.Context) (*Member, error) {
	m, err := s.newMember(ctx)
	if err != nil {
		return nil, err
	}
	s.members = append(s.members, m)
	id := len(s.members) - 1
	err = s.Reconfig(ctx, func(config bson.M) {
		members, _ := config["members"].(bson.A)
		config["members"] = append(members, bson.M{"_id": id, "host": m.Addr()})
	})
	if err != nil {
		return nil, fmt.Errorf("add a member: %w", err)
	}
	m.login = s.options.Auth
	return m, s.WaitReady(ctx)
}

// Upgrade restarts every member on its files with another version, empty for the default one, and waits as StartReplicaSet does.
func (s *ReplicaSet) Upgrade(ctx context.Context, version string) error {
	path, err := binary(ctx, version)
	if err != nil {
		return err
	}
	for _, m := range s.members {
		if err := m.Shutdown(ctx); err != nil {
			return err
		}
		m.binary = path
		if err := m.Restart(ctx); err != nil {
			return fmt.Errorf("restart %s with %s: %w", m.Addr(), path, err)
		}
	}
	s.binary = path
	return s.WaitReady(ctx)
}
