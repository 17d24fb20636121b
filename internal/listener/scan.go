package listener

import (
	"context"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

const (
	// lookBack is how long before the previous scan a scan searches for notifications that
	// were marked as processed by a listener that does not know all receivers.
	lookBack = 30 * time.Second
	// maxLookBack is the same for the first scan.
	maxLookBack = 24 * time.Hour
)

// scan is the result of one pass over the queue.
type scan struct {
	// total counts the unprocessed notifications; oldest is the smallest timestamp in
	// seconds, zero if none has one.
	total  int
	oldest float64
	// backlogs holds the pending notifications of each receiver.
	backlogs map[string]*backlog
	// complete holds the transitions of notifications that have ended for every receiver, by
	// result; expired those of notifications that have expired for a failing receiver, by
	// receiver.
	complete, expired map[string][]transition
	// reopened holds those of notifications that were marked as processed before they ended
	// for every receiver, or as unprocessed by hand. skipped holds those that record for other
	// listeners that a receiver's filter excludes a notification.
	reopened, skipped []transition
	// seen holds the keys of all unprocessed notifications, if they may be processed while
	// the scan runs and then be found a second time.
	seen map[string]bool
}

// scanner reads the queue for some receivers.
type scanner struct {
	queue     queue
	database  string
	receivers []Receiver
	// registered holds the receivers that are not primary.
	registered registered
	// failing reports whether a receiver has not accepted anything for a while.
	failing func(receiver string) bool
}

// run reads all unprocessed notifications, and those marked as processed since a time by a
// listener that does not know all receivers.
func (s scanner) run(ctx context.Context, since time.Time) (*scan, error) {
	ctx, cancel := context.WithTimeout(ctx, scanTimeout)
	defer cancel()
	found := s.newScan()
	if err := s.queue.each(ctx, unprocessed(), func(n record, doc bson.Raw) { s.unprocessed(found, n, doc) }); err != nil {
		return nil, err
	}
	if len(s.registered.since) == 0 {
		return found, nil
	}
	if err := s.queue.each(ctx, s.processedElsewhere(since), func(n record, doc bson.Raw) { s.processed(found, n, doc) }); err != nil {
		return nil, err
	}
	return found, nil
}

// runAmong reads those of some notifications that are unprocessed.
func (s scanner) runAmong(ctx context.Context, ids []bson.RawValue) (*scan, error) {
	ctx, cancel := context.WithTimeout(ctx, queueTimeout)
	defer cancel()
	found := s.newScan()
	filter := bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}, isPending(), {Key: "operation", Value: bson.D{{Key: "$exists", Value: true}}}}
	err := s.queue.each(ctx, filter, func(n record, doc bson.Raw) { s.unprocessed(found, n, doc) })
	return found, err
}

func (s scanner) newScan() *scan {
	found := &scan{backlogs: map[string]*backlog{}, seen: map[string]bool{}, complete: map[string][]transition{}, expired: map[string][]transition{}}
	for _, r := range s.receivers {
		found.backlogs[r.Name] = newBacklog(s.database)
	}
	return found
}

func (s scanner) unprocessed(found *scan, n record, doc bson.Raw) {
	found.total++
	if len(s.registered.since) > 0 {
		found.seen[n.key()] = true
	}
	if n.timed && (found.oldest == 0 || n.seconds < found.oldest) {
		found.oldest = n.seconds
	}
	receivers := s.receiversOf(doc)
	if !n.processedAt.IsZero() {
		s.reset(found, n, receivers)
		return
	}
	pending := false
	for _, r := range receivers {
		view := n.view(r.Name)
		switch {
		case view.state != "":
		case r.tooOld(view, n.now) && s.failing(r.Name) && view.wait() == 0:
			found.expired[r.Name] = append(found.expired[r.Name], r.toEnded(view, ending{state: stateExpired, reason: expiredReason(view)}))
			pending = true
		default:
			found.backlogs[r.Name].add(view)
			pending = true
		}
	}
	if len(s.registered.foreign) > 0 {
		found.skipped = append(found.skipped, s.excluding(n, receivers)...)
		pending = pending || !n.endedForAll(s.registered.foreign)
	}
	if !pending {
		result := resultOf(n, receivers)
		found.complete[result] = append(found.complete[result], toComplete(n, receivers))
	}
}

// reset removes the final states of a notification that was processed and then marked as
// unprocessed by hand.
func (s scanner) reset(found *scan, n record, receivers []Receiver) {
	for _, r := range receivers {
		found.backlogs[r.Name].block(n)
	}
	found.reopened = append(found.reopened, toReset(n))
}

// excluding returns the transitions that mark a notification as skipped for the receivers
// whose filters exclude it. Other listeners do not know these filters.
func (s scanner) excluding(n record, receivers []Receiver) []transition {
	var all []transition
	for _, r := range s.receivers {
		included := slices.ContainsFunc(receivers, func(o Receiver) bool { return o.Name == r.Name })
		if view := n.view(r.Name); !included && !isPrimary(r.Name) && view.state == "" {
			all = append(all, r.toEnded(view, ending{state: stateSkipped}))
		}
	}
	return all
}

// processed reopens a notification that was not delivered to a receiver: a listener that does
// not know the receiver has marked it as processed.
func (s scanner) processed(found *scan, n record, doc bson.Raw) {
	if found.seen[n.key()] || !n.byListener() {
		return
	}
	reopen := false
	for _, r := range s.receiversOf(doc) {
		since, ok := s.registered.since[r.Name]
		if ok && n.view(r.Name).state == "" && n.processedAt.After(since) {
			found.backlogs[r.Name].block(n)
			reopen = true
		}
	}
	if reopen {
		found.reopened = append(found.reopened, toReopened(n))
	}
}

// receiversOf returns the receivers that get a notification. Filters may not apply to a
// malformed notification, which is handled by the first receiver.
func (s scanner) receiversOf(doc bson.Raw) []Receiver {
	if malformed(doc) != "" {
		return s.receivers[:min(1, len(s.receivers))]
	}
	return receiversOf(s.receivers, doc)
}

func receiversOf(all []Receiver, doc bson.Raw) []Receiver {
	var receivers []Receiver
	for _, r := range all {
		if r.includes(doc) {
			receivers = append(receivers, r)
		}
	}
	return receivers
}

// processedElsewhere selects notifications that were marked as processed since a time without
// a final state for each registered receiver.
func (s scanner) processedElsewhere(since time.Time) bson.D {
	var open bson.A
	for name := range s.registered.since {
		open = append(open, bson.D{{Key: Receiver{Name: name}.delivery("state"), Value: nil}})
	}
	return bson.D{
		{Key: fieldProcessedAt, Value: bson.D{{Key: "$gte", Value: bson.NewDateTimeFromTime(since)}}},
		{Key: "processed", Value: true},
		{Key: "operation", Value: bson.D{{Key: "$exists", Value: true}}},
		{Key: fieldDuplicateOf, Value: nil},
		{Key: "$or", Value: open},
	}
}

// expiredReason returns why a notification has expired.
func expiredReason(n record) string {
	if n.lastError != "" {
		return "expired: " + n.lastError
	}
	return "expired: the receiver did not accept anything"
}

// resultOf returns the result of a notification that has ended for its receivers.
func resultOf(n record, receivers []Receiver) string {
	result := resultSkipped
	for _, r := range receivers {
		switch s := n.deliveries[r.Name].state; {
		case s.undelivered():
			return resultRejected
		case s == stateDelivered:
			result = resultDelivered
		}
	}
	return result
}
