package attribution

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/actor"
	"github.com/ddltail/ddltail/internal/actor/getlog"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/replicaset"
)

const (
	// minInterval is the shortest time between two rounds while a batch waits.
	minInterval = 50 * time.Millisecond
	// lateInterval is the time between two rounds for late searches; it grows up to maxInterval.
	lateInterval = time.Second
	maxInterval  = 15 * time.Second
	// fastEvery is how often the ring buffer is read at a rate at which it would be overwritten.
	fastEvery = 10 * time.Second
	// fileInterval is how often files are read without pending searches, so that no rotation is missed.
	fileInterval = time.Second
	// discoverEvery is the minimum interval between discoveries of the members, usersEvery that of reading the users' names.
	discoverEvery = time.Second
	usersEvery    = time.Minute
	// failedEvery is how often a failed primary is retried, failedOtherEvery how often another member: one that does not respond
	// delays all searches by otherTimeout.
	failedEvery      = 2 * time.Second
	failedOtherEvery = 30 * time.Second
	// othersEvery is the minimum interval between two reads of the members other than the primary.
	othersEvery = 5 * time.Second
	// warnEvery is the minimum interval between two equal warnings.
	warnEvery = time.Minute
)

// worker is the goroutine that owns the logs.
type worker struct {
	*Attributor
	members      []*member
	files        []*file
	discoveredAt time.Time
	discovering  chan lookup // the result of a discovery in the background; nil if none runs
	users        actor.Directory
	usersReadAt  time.Time
	started      bool
	allAt        time.Time // when all pending changes were last processed
	others       time.Time // when the members other than the primary were last read
	found        []resolved
	settledAt    time.Time
	missed       int64
	warnedAt     map[string]time.Time
}

// Run reads the sources until the context ends. It never fails: a source that does not work is retried.
func (a *Attributor) Run(ctx context.Context) {
	w := &worker{Attributor: a, warnedAt: map[string]time.Time{}}
	var background sync.WaitGroup
	defer w.close()
	defer background.Wait()
	for _, path := range a.Files {
		f := &file{path: path}
		skipped, err := f.open(a.Since)
		f.err = err
		if len(skipped) > 0 {
			a.Log.Warn("rotated logs are compressed and cannot be read; older changes have no actor from this source",
				zap.Strings("files", skipped), zap.Time("since", a.Since))
		}
		w.files = append(w.files, f)
	}
	w.discover(ctx)
	if from := w.anyMember(); from != nil && w.History != nil {
		background.Go(func() { w.recent(ctx, oplog.Member{Host: from.host, Client: from.client}) })
	}
	for {
		began := time.Now()
		w.round(ctx)
		timer := time.NewTimer(w.next())
		select {
		case <-ctx.Done():
			timer.Stop()
			w.flush(ctx)
			return
		case <-a.arrived:
			timer.Stop()
			// One round handles all searches that arrive within the interval.
			if pause := minInterval - time.Since(began); pause > 0 && a.GetLog {
				time.Sleep(pause)
			}
		case <-timer.C:
		}
	}
}

func (w *worker) close() {
	if w.discovering != nil {
		<-w.discovering
	}
	for _, m := range w.members {
		disconnect(m.client)
	}
	for _, f := range w.files {
		_ = f.follower.Close()
	}
}

// next returns how long the next round can wait for a change.
func (w *worker) next() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	wait := time.Hour
	for _, s := range w.waiting {
		if !s.late && !s.closed {
			return minInterval
		}
		// The interval grows with the age of a search.
		wait = min(wait, max(lateInterval, time.Since(s.since)/2))
	}
	if len(w.waiting) > 0 {
		wait = min(wait, maxInterval)
	}
	if len(w.found) > 0 {
		wait = min(wait, settleEvery)
	}
	for _, f := range w.files {
		if wait = min(wait, fileInterval); f.behind && !f.isFarAhead(w.newest) {
			return time.Millisecond
		}
	}
	for _, m := range w.members {
		if m.ring.fast && w.GetLog {
			wait = min(wait, fastEvery)
		}
	}
	return wait
}

// round reads the sources once and resolves pending searches.
func (w *worker) round(ctx context.Context) {
	open := w.open()
	select {
	case found := <-w.discovering:
		w.discovering = nil
		w.adopt(ctx, found)
	default:
	}
	w.readFiles(ctx)
	first := !w.started
	w.started = true
	if w.GetLog && (len(open) > 0 || w.isFast() || first) {
		w.readRings(ctx, open)
	}
	w.resolve(ctx, open)
	if (len(open) > 0 || first) && w.confirm(ctx) {
		w.resolve(ctx, open)
	}
	w.finish(open)
	w.settle(ctx)
}

// open returns the pending searches: those that a batch waits for, and at intervals also the late ones.
func (w *worker) open() []*search {
	w.mu.Lock()
	defer w.mu.Unlock()
	if time.Since(w.allAt) > lateInterval/2 {
		w.allAt = time.Now()
		return slices.Clone(w.waiting)
	}
	return slices.DeleteFunc(slices.Clone(w.waiting), func(s *search) bool { return s.late })
}

func (w *worker) isFast() bool {
	return slices.ContainsFunc(w.members, func(m *member) bool { return m.ring.fast })
}

func (w *worker) readFiles(ctx context.Context) {
	newest := w.newestWall()
	for _, f := range w.files {
		missed, err := f.read(ctx, newest)
		if missed {
			w.Metrics.Missed.Inc()
			w.warn("log lines missed", "the file was truncated", zap.String("source", "file:"+f.path))
		}
		w.working("file:"+f.path, &f.err, err)
	}
}

// readRings reads the log of the primary, and those of the other members if a search is not resolved by it.
func (w *worker) readRings(ctx context.Context, open []*search) {
	if w.primary() == nil {
		w.discoverLater(ctx)
	}
	others := time.Since(w.others) > othersEvery && slices.ContainsFunc(open, func(s *search) bool { return time.Since(s.since) > lateInterval })
	if others {
		w.others = time.Now()
		w.discoverLater(ctx)
	}
	for _, m := range w.members {
		if m.primary || others || !m.ring.began {
			w.readRing(ctx, m, m.ring.read)
		}
	}
	if old := w.primary(); old != nil && old.ring.log.IsSecondary() {
		w.discoverLater(ctx)
	}
}

func (w *worker) readRing(ctx context.Context, m *member, read func(context.Context) (int64, error)) {
	if m.ring.reader.Client == nil {
		m.ring.reader = getlog.Reader{Client: m.client}
	}
	if m.ring.err != nil && time.Since(m.ring.failedAt) < m.retryAfter() {
		return
	}
	if !m.primary {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, otherTimeout)
		defer cancel()
	}
	missed, err := read(ctx)
	if missed > 0 {
		w.Metrics.Missed.Add(float64(missed))
		w.missed += missed
		if w.warn("log lines missed", "getlog "+m.host, zap.String("source", "getlog"), zap.String("member", m.host), zap.Int64("lines", w.missed)) {
			w.missed = 0
		}
	}
	if err == nil {
		m.ring.began = true
	} else {
		m.ring.failedAt = time.Now()
		m.primary = m.primary && refused(err)
	}
	w.working("getlog "+m.host, &m.ring.err, err)
}

// refused reports whether a server replied with an error.
func refused(err error) bool {
	var answer mongo.ServerError
	return errors.As(err, &answer) && !mongo.IsNetworkError(err)
}

func disconnect(client *mongo.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	// The connections are closed either way; the error does not matter.
	_ = client.Disconnect(ctx)
}

// confirm reads the state of the members whose lines are not sufficient, and reports whether there were any.
func (w *worker) confirm(ctx context.Context) bool {
	did := false
	for _, m := range w.members {
		if w.GetLog && m.ring.unconfirmed && m.ring.err == nil && time.Since(m.ring.confirmedAt) > confirmEvery {
			w.readRing(ctx, m, m.ring.confirm)
			did = true
		}
	}
	newest := w.newestWall()
	for _, f := range w.files {
		if f.unconfirmed && f.err == nil && !f.behind && time.Since(f.confirmedAt) > confirmEvery {
			if len(w.members) == 0 {
				w.discover(ctx)
			}
			if err := f.confirm(ctx, w.members, w.Seeds, newest); err != nil {
				w.warn("connections cannot be read; changes through connections older than the log have no actor", f.path, zap.Error(err))
			}
			did = true
		}
	}
	return did
}

// anyMember returns the primary if it is known, else any member; nil if none is known.
func (w *worker) anyMember() *member {
	if primary := w.primary(); primary != nil || len(w.members) == 0 {
		return primary
	}
	return w.members[0]
}

func (w *worker) primary() *member {
	for _, m := range w.members {
		if m.primary {
			return m
		}
	}
	return nil
}

// discover looks up the members of the set and which is the primary.
func (w *worker) discover(ctx context.Context) {
	if w.discoveryDue() {
		w.adopt(ctx, discover(ctx, w.Seeds))
	}
}

// discoverLater is discover in the background: a member that does not respond delays it by seconds.
func (w *worker) discoverLater(ctx context.Context) {
	if w.discovering != nil || !w.discoveryDue() {
		return
	}
	result := make(chan lookup, 1)
	w.discovering = result
	go func() { result <- discover(ctx, w.Seeds) }()
}

// discoveryDue reports whether the members may be looked up again, which is then counted as done.
func (w *worker) discoveryDue() bool {
	due := time.Since(w.discoveredAt) >= discoverEvery
	if due {
		w.discoveredAt = time.Now()
	}
	return due
}

// lookup is the result of a discovery.
type lookup struct {
	view replicaset.View
	err  error
}

func discover(ctx context.Context, seeds replicaset.Seeds) lookup {
	view, err := replicaset.Discover(ctx, seeds)
	return lookup{view, err}
}

// adopt connects to the members that a lookup found.
func (w *worker) adopt(ctx context.Context, found lookup) {
	if found.err != nil {
		w.warn("members cannot be found", "discover", zap.Error(found.err))
		return
	}
	for _, found := range found.view.Members {
		at := slices.IndexFunc(w.members, func(m *member) bool { return m.host == found.Host })
		if at < 0 {
			client, err := replicaset.Connect(ctx, w.Seeds.Options, found.Host)
			if err != nil {
				w.warn("a member cannot be reached", found.Host, zap.Error(err))
				continue
			}
			w.members = append(w.members, &member{host: found.Host, client: client})
			at = len(w.members) - 1
		}
		w.members[at].primary = found.Primary
	}
}

// working logs when a source stops working and when it works again.
func (w *worker) working(source string, last *error, err error) {
	switch {
	case err != nil && *last == nil:
		w.Log.Warn("actor source does not work", zap.String("source", source), zap.Error(err))
	case err == nil && *last != nil:
		w.Log.Info("actor source works again", zap.String("source", source))
	}
	*last = err
}

// warn logs a warning at most once in warnEvery, and reports whether it did.
func (w *worker) warn(message, about string, fields ...zap.Field) bool {
	if time.Since(w.warnedAt[message+about]) < warnEvery {
		return false
	}
	w.warnedAt[message+about] = time.Now()
	w.Log.Warn(message, fields...)
	return true
}
