package mongotest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/ddltail/ddltail/test/mongotest/procgroup"
)

// folderPrefix is the prefix of the names of temporary folders.
const folderPrefix = "mongotest"

// ReplicaSet is a set of servers that this program started.
type ReplicaSet struct {
	options Options
	group   *procgroup.Group
	binary  string
	key     key
	members []*Member
}

// StartReplicaSet starts a set and waits until it has a primary and all other members are secondaries or arbiters, or, with
// Uninitiated, until its members accept connections. The caller must call Stop.
func StartReplicaSet(ctx context.Context, o Options) (*ReplicaSet, error) {
	path, err := binary(ctx, o.Version)
	if err != nil {
		return nil, err
	}
	group, err := procgroup.New(folderPrefix)
	if err != nil {
		return nil, err
	}
	s := &ReplicaSet{options: o, group: group, binary: path}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start a replica set: %w", err), s.Stop())
	}
	return s, nil
}

func (s *ReplicaSet) start(ctx context.Context) (err error) {
	if s.key, err = makeKey(s.group, s.options); err != nil {
		return err
	}
	if err := s.startMembers(ctx); err != nil {
		return err
	}
	if s.options.Uninitiated {
		return nil
	}
	return s.Initiate(ctx)
}

func (s *ReplicaSet) startMembers(ctx context.Context) error {
	n := s.options.dataMembers()
	if s.options.Arbiter {
		n++
	}
	members := make([]*Member, n)
	starts, ctx := errgroup.WithContext(ctx)
	for i := range members {
		starts.Go(func() (err error) {
			members[i], err = s.newMember(ctx)
			return err
		})
	}
	err := starts.Wait()
	for _, m := range members {
		if m != nil { // includes only started members, so that Stop frees their ports
			s.members = append(s.members, m)
		}
	}
	if err == nil && s.options.Arbiter {
		s.members[n-1].arbiter = true
	}
	return err
}

func (s *ReplicaSet) newMember(ctx context.Context) (*Member, error) {
	args := append(s.options.args(), "--replSet", s.Name())
	return newMember(ctx, Member{
		group: s.group, binary: s.binary, key: s.key, clock: s.options.Clock, args: append(args, s.key.args()...), logFile: s.options.LogFile,
	})
}

// Stop kills all servers and removes their data. A stopped set cannot be used again.
func (s *ReplicaSet) Stop() error {
	err := s.group.Close()
	for _, m := range s.members {
		err = errors.Join(err, m.port.Release())
	}
	return err
}

// Members returns the set's servers in the order of their start: data-bearing members, the arbiter, those
// that Add added.
func (s *ReplicaSet) Members() []*Member { return s.members }

// Name returns the set's name.
func (s *ReplicaSet) Name() string { return s.options.name() }

// Hosts returns the addresses of all members, separated by commas.
func (s *ReplicaSet) Hosts() string {
	addrs := make([]string, len(s.members))
	for i, m := range s.members {
		addrs[i] = m.Addr()
	}
	return strings.Join(addrs, ",")
}

// URI returns the connection string of the set, with the root user if Auth is set.
func (s *ReplicaSet) URI() string {
	if s == nil {
		return "" // under -short, where Connect skips the test
	}
	if s.options.Auth {
		return s.URIOf(RootUser, RootPassword, "")
	}
	return s.URIOf("", "", "")
}

// URIOf returns the connection string of the set for a user of the database admin (no credentials if empty), with a database
// as its path (none if empty).
func (s *ReplicaSet) URIOf(user, password, database string) string {
	u := uri{hosts: s.Hosts(), database: database, query: "replicaSet=" + s.Name()}
	return u.as(user, password).String()
}
