package mongotest

import (
	"context"
	"errors"
	"fmt"

	"github.com/ddltail/ddltail/test/mongotest/procgroup"
)

// Standalone is a server without replication.
type Standalone struct {
	*Member
}

// StartStandalone starts a server and waits until it accepts connections. Options for replica sets are ignored. The caller must
// call Stop.
func StartStandalone(ctx context.Context, o Options) (Standalone, error) {
	path, err := binary(ctx, o.Version)
	if err != nil {
		return Standalone{}, err
	}
	group, err := procgroup.New(folderPrefix)
	if err != nil {
		return Standalone{}, err
	}
	m, err := startAlone(ctx, group, path, o)
	if err != nil {
		return Standalone{}, errors.Join(fmt.Errorf("start a standalone server: %w", err), group.Close())
	}
	return Standalone{m}, nil
}

func startAlone(ctx context.Context, group *procgroup.Group, path string, o Options) (*Member, error) {
	key, err := makeKey(group, o)
	if err != nil {
		return nil, err
	}
	m, err := newMember(ctx, Member{group: group, binary: path, key: key, args: append(o.args(), key.args()...)})
	if err != nil || !o.Auth {
		return m, err
	}
	if err := m.createRoot(ctx, 1); err != nil {
		return nil, errors.Join(err, m.port.Release())
	}
	m.login = true
	return m, nil
}

// Stop kills the server and removes its data.
func (s Standalone) Stop() error { return errors.Join(s.group.Close(), s.port.Release()) }
