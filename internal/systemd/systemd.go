// Package systemd reports the state of a service to the service manager (sd_notify(3)).
package systemd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/retry"
)

const (
	// defaultInterval is how often the state is reported if the unit has no watchdog.
	defaultInterval = 5 * time.Second
	// readyPoll is how often readiness is read before it is reported: `systemctl start` waits for it.
	readyPoll = 50 * time.Millisecond
	// startExtension is how much longer the manager waits for readiness after each report:
	// catching up with a long oplog may exceed any fixed TimeoutStartSec.
	startExtension = 60 * time.Second
	// maxStatus bounds the text that `systemctl status` shows.
	maxStatus = 200
)

// Service reports the state of this process.
type Service struct {
	// Alive returns an error if the process makes no progress. No keep-alive is sent then,
	// so that the watchdog restarts the process.
	Alive func() error
	// Ready returns an error while changes are not delivered.
	Ready func() error
}

// Report reports readiness, a status line and the watchdog's keep-alive until the context
// ends. It returns at once if no service manager started this process. A failed report is
// sent again at the next interval: the socket may be closed while the manager re-executes.
func Report(ctx context.Context, s Service, log *zap.Logger) {
	// The first message shows whether there is a manager.
	managed, err := daemon.SdNotify(false, "STATUS=starting")
	if err == nil && !managed {
		return
	}
	warn(log, err)
	limit, err := daemon.SdWatchdogEnabled(false)
	warn(log, err)
	interval := defaultInterval
	if limit > 0 {
		interval = min(interval, limit/3)
	}
	for started := false; ctx.Err() == nil; {
		ready := s.Ready()
		state := message(started, s.Alive(), ready)
		if _, err := daemon.SdNotify(false, state); err != nil {
			warn(log, err)
		} else {
			started = started || strings.Contains(state, daemon.SdNotifyReady)
		}
		if !started && ready != nil {
			waitReady(ctx, interval, s.Ready)
			continue
		}
		retry.Sleep(ctx, interval)
	}
	_, err = daemon.SdNotify(false, daemon.SdNotifyStopping+"\nSTATUS=stopping")
	warn(log, err)
}

// waitReady returns after an interval, when the context ends, or soon after the service is ready.
func waitReady(ctx context.Context, interval time.Duration, ready func() error) {
	ctx, cancel := context.WithTimeout(ctx, interval)
	defer cancel()
	for ctx.Err() == nil && ready() != nil {
		retry.Sleep(ctx, readyPoll)
	}
}

// message returns one report. READY=1 is sent once, when the service is ready for the first time.
func message(started bool, alive, ready error) string {
	lines := []string{"STATUS=" + text(alive, ready)}
	if alive == nil {
		lines = append(lines, daemon.SdNotifyWatchdog)
	}
	switch {
	case started:
	case ready == nil:
		lines = append(lines, daemon.SdNotifyReady)
	case alive == nil:
		lines = append(lines, fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", startExtension.Microseconds()))
	}
	return strings.Join(lines, "\n")
}

// text returns the status in one line; a newline would begin another variable.
func text(alive, ready error) string {
	err := errors.Join(alive, ready)
	if err == nil {
		return "ready"
	}
	line := []rune("not ready: " + strings.Join(strings.Fields(err.Error()), " "))
	return string(line[:min(len(line), maxStatus)])
}

func warn(log *zap.Logger, err error) {
	if err != nil {
		log.Warn("service manager not notified", zap.Error(err))
	}
}
