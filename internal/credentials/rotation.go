// Package credentials handles the rotation of user, password and TLS files of a running process: it
// reads them again when a server refuses them, or on request, and makes the process reconnect.
package credentials

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/replicaset"
	"github.com/ddltail/ddltail/internal/retry"
	"github.com/ddltail/ddltail/internal/usererror"
)

const (
	// patience is how long refused credentials are retried, and read again, before the process
	// exits.
	patience = 5 * time.Minute
	// maxBackoff is the longest pause, without jitter, between two attempts to reconnect.
	maxBackoff = 10 * time.Second
)

// ErrRefused is returned if credentials were refused for too long.
var ErrRefused = errors.New("the credentials are refused")

// errRotated ends a session after new credentials were read.
var errRotated = errors.New("new credentials were read; reconnecting")

// Rotation holds the URIs in use. It is safe for concurrent use.
type Rotation struct {
	// Read reads the URIs again, with the files that they name.
	Read func() (mongoDB, sink config.URI, err error)
	// Changed, if set, is called with the URIs of each session.
	Changed func(mongoDB, sink config.URI)
	Log     *zap.Logger

	mu            sync.Mutex
	mongoDB, sink config.URI
	seen          digest
	// refused is when a use of the credentials was first refused, by its name.
	refused map[string]time.Time
	end     context.CancelCauseFunc
}

type digest [2][32]byte

func digestOf(mongoDB, sink config.URI) digest { return digest{mongoDB.Digest(), sink.Digest()} }

// New returns a Rotation that begins with the URIs of a configuration.
func New(cfg config.Config, log *zap.Logger) *Rotation {
	return &Rotation{
		Read:    func() (mongoDB, sink config.URI, err error) { return config.Reload(time.Now()) },
		Log:     log,
		mongoDB: cfg.MongoDB, sink: cfg.Sink, seen: digestOf(cfg.MongoDB, cfg.Sink),
		refused: map[string]time.Time{}, end: func(error) {},
	}
}

// Run runs sessions, each with the credentials that were read last, until a session ends for a
// reason other than new credentials. It returns ErrRefused if the credentials were refused for too
// long.
func (r *Rotation) Run(ctx context.Context, session func(ctx context.Context, mongoDB, sink config.URI, again bool) error) error {
	for again := false; ; again = true {
		work, cancel := context.WithCancelCause(ctx)
		mongoDB, sink := r.begin(cancel)
		err := session(work, mongoDB, sink, again)
		cause := context.Cause(work)
		cancel(nil)
		switch {
		case ctx.Err() != nil:
			return err
		case errors.Is(cause, ErrRefused):
			return cause
		case !errors.Is(cause, errRotated):
			return err
		}
		r.Log.Info("credentials changed; reconnecting")
	}
}

func (r *Rotation) begin(end context.CancelCauseFunc) (mongoDB, sink config.URI) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.end = end
	if r.Changed != nil {
		r.Changed(r.mongoDB, r.sink)
	}
	return r.mongoDB, r.sink
}

// Connect retries a step of a session until it succeeds, without a limit: a process that was
// connected before waits for its servers.
func (r *Rotation) Connect(ctx context.Context, step func(context.Context) error) error {
	use := r.Use("connect")
	pause := retry.NewBackOff(maxBackoff)
	for {
		err := step(ctx)
		if err == nil {
			use.Worked()
			return nil
		}
		if ctx.Err() != nil || usererror.IsFinal(err) && !replicaset.CredentialsRefused(err) {
			return err
		}
		use.Failed(err)
		wait := pause.NextBackOff()
		r.Log.Warn("cannot connect; retrying", zap.Duration("in", wait), zap.Error(err))
		if !retry.Sleep(ctx, wait) {
			return ctx.Err()
		}
	}
}

// Reread reads the credentials again, on SIGHUP.
func (r *Rotation) Reread() {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch r.reread() {
	case changed:
		r.end(errRotated)
	case unchanged:
		r.Log.Info("credentials reread; they have not changed")
	case kept: // reread has logged why
	}
}

// outcome is the result of reading the credentials again.
type outcome int

const (
	unchanged outcome = iota
	// changed: the new credentials are used from the next session on.
	changed
	// kept: the new credentials cannot be read or used; the current ones remain in use.
	kept
)

// reread reads the credentials again, and logs why new ones are not used.
func (r *Rotation) reread() outcome {
	mongoDB, sink, err := r.Read()
	if err != nil {
		r.Log.Warn("credentials cannot be reread; the current ones are kept", zap.Error(err))
		return kept
	}
	now := digestOf(mongoDB, sink)
	if now == r.seen {
		return unchanged
	}
	r.seen = now
	if err := errors.Join(checked("MONGODB_URI", r.mongoDB, mongoDB), checked("SINK_URI", r.sink, sink)); err != nil {
		r.Log.Warn("the current URI is kept; restart ddltail to apply the new one", zap.Error(err))
		return kept
	}
	r.mongoDB, r.sink = mongoDB, sink
	return changed
}

func checked(variable string, current, next config.URI) error {
	if err := current.CheckRotation(next); err != nil {
		return fmt.Errorf("DDLTAIL_%s: %w", variable, err)
	}
	return nil
}

// Use is one use of credentials, such as the connection to the sink.
type Use struct {
	rotation *Rotation
	name     string
}

// Use returns a use by its name.
func (r *Rotation) Use(name string) Use { return Use{r, name} }

// Worked records that the credentials were accepted.
func (u Use) Worked() {
	u.rotation.mu.Lock()
	defer u.rotation.mu.Unlock()
	delete(u.rotation.refused, u.name)
}

// Failed reads the credentials again, and ends the session if they have changed or were refused
// for too long.
func (u Use) Failed(err error) {
	r := u.rotation
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reread() == changed {
		r.end(errRotated)
		return
	}
	if !replicaset.CredentialsRefused(err) {
		return
	}
	now := time.Now()
	since, refused := r.refused[u.name]
	if !refused {
		r.refused[u.name] = now
		r.Log.Warn("credentials are refused; rereading them until they are accepted", zap.Duration("at_most", patience), zap.Error(err))
		return
	}
	if now.Sub(since) > patience {
		r.end(fmt.Errorf("%w for %s: %w", ErrRefused, patience, err))
	}
}
