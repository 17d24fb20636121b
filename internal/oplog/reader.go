package oplog

import (
	"context"
	"fmt"
	"iter"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/internal/retry"
)

const (
	// closeTimeout bounds closing the cursor on a member that may be down.
	closeTimeout = 500 * time.Millisecond
	// nearHead is how far behind the head a tailable cursor may start. Older entries are read
	// in windows, whose scans are short enough to report progress.
	nearHead = 10 * time.Second
	// idleLimit is the longest pause between two reads of a tailable cursor; after a longer
	// one the accumulated entries are read in windows.
	idleLimit = 30 * time.Second
)

// Batch is one reply of the server.
type Batch struct {
	// Entries match the filter and come after all entries returned before. They are valid
	// until the next call.
	Entries []bson.Raw
	// Scanned is how far the server has read: at or after the last entry. Its term is not
	// known; Member.At returns it.
	Scanned bson.Timestamp
	// Head is the newest majority-committed entry at the start of a window, and
	// zero while tailing.
	Head OpTime
	// Tailing is true if the reader is at the head.
	Tailing bool
	// from reads earlier entries of a transaction, from the same member.
	from Fetcher
}

// Units yields the unit of each entry, in oplog order. Entries are decoded, and transactions
// assembled, during the iteration, so that only one unit is in memory. With an error the unit
// has the position and one operation, the entry itself, as far as it could be decoded.
func (b Batch) Units(ctx context.Context) iter.Seq2[Unit, error] {
	return func(yield func(Unit, error) bool) {
		for _, raw := range b.Entries {
			if !yield(unitOf(ctx, raw, b.from)) {
				return
			}
		}
	}
}

// Start is where a Reader begins.
type Start struct {
	Position OpTime
	// Inclusive includes the entry at Position, for a first run that begins at the oldest
	// entry.
	Inclusive bool
	// Sharded includes the no-ops that a shard writes about its collections'
	// sharding.
	Sharded bool
	// LatencyTarget is the longest delay that the reader may add at the head under heavy
	// writes, so that reading costs the member less. 0 is none.
	LatencyTarget time.Duration
}

// Reader reads the entries of one member that can contain schema changes, in oplog order. It
// returns only majority-committed entries, which cannot roll back.
//
// It begins with windows bounded on both sides and continues with a tailable cursor near the
// head. After an error a Reader cannot be used: open another one.
type Reader struct {
	member    Member
	session   *mongo.Session
	after     bson.Timestamp
	inclusive bool
	sharded   bool
	cursor    int64
	tailing   bool
	window    window
	pace      pace
	lastRead  time.Time
}

// Open verifies that the member still has the entry at the start's position, with the same
// term, and returns a reader that continues from there. If the entry is missing, the error is
// a *PositionError.
func Open(ctx context.Context, m Member, start Start) (*Reader, error) {
	if err := m.prove(ctx, start.Position); err != nil {
		return nil, err
	}
	// The cursor belongs to the session it was opened in.
	session, err := m.Client.StartSession(options.Session().SetCausalConsistency(false))
	if err != nil {
		return nil, fmt.Errorf("start a session on %s: %w", m.Host, err)
	}
	return &Reader{
		member:    m,
		session:   session,
		after:     start.Position.TS,
		inclusive: start.Inclusive,
		sharded:   start.Sharded,
		window:    window{span: firstSpan},
		pace:      pace{target: start.LatencyTarget},
	}, nil
}

// Next waits for entries for at most about a second, or for the latency target, and returns
// what the server has read by then, which can be empty.
func (r *Reader) Next(ctx context.Context) (Batch, error) {
	if r.tailing && time.Since(r.lastRead) > idleLimit {
		r.kill()
	}
	if r.tailing {
		return r.tail(ctx)
	}
	if r.window.open(r.cursor) {
		return r.continueWindow(ctx)
	}
	head, err := r.member.Head(ctx)
	if err != nil {
		return Batch{}, err
	}
	if head.Time().Sub(OpTime{TS: r.after}.Time()) <= nearHead {
		return r.tail(ctx)
	}
	return r.startWindow(ctx, head)
}

// Close closes the cursor on the server. It uses its own timeout, since the caller's context
// has often ended.
func (r *Reader) Close() {
	r.kill()
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	r.session.EndSession(ctx)
}

func (r *Reader) tail(ctx context.Context) (Batch, error) {
	read := r.startTail
	if r.cursor != 0 {
		read = r.continueTail
	}
	b, err := read(ctx)
	if err != nil {
		return Batch{}, fmt.Errorf("tail the oplog of %s: %w", r.member.Host, err)
	}
	b.Tailing = true
	return b, nil
}

// startTail opens a tailable cursor. Its first reply does not indicate the write rate.
func (r *Reader) startTail(ctx context.Context) (Batch, error) {
	rep, err := r.read(ctx, r.find(bson.D{{Key: "$gte", Value: r.after}},
		bson.E{Key: "tailable", Value: true}, bson.E{Key: "awaitData", Value: true}))
	r.lastRead = time.Now()
	if err != nil {
		return Batch{}, err
	}
	r.tailing = rep.cursor != 0
	return r.advance(rep), nil
}

// continueTail reads the cursor according to the pace.
func (r *Reader) continueTail(ctx context.Context) (Batch, error) {
	next := r.pace.next()
	before, position := r.lastRead, r.after
	if pause := next.pause - time.Since(before); pause > 0 && !retry.Sleep(ctx, pause) {
		return Batch{}, ctx.Err()
	}
	rep, err := r.readWithin(ctx, tailTimeout, r.getMore(bson.E{Key: "maxTimeMS", Value: next.wait.Milliseconds()}))
	r.lastRead = time.Now()
	if err != nil {
		return Batch{}, err
	}
	r.tailing = rep.cursor != 0
	b := r.advance(rep)
	r.pace = r.pace.after(reading{from: position, to: b.Scanned, took: r.lastRead.Sub(before), matches: len(b.Entries)})
	return b, nil
}

// advance moves the reader past the entries of a reply. A tailable cursor begins at the last
// position itself, because it needs a record to begin at: this entry, and all others that
// were returned before, are omitted.
func (r *Reader) advance(rep reply) Batch {
	r.cursor = rep.cursor
	b := Batch{Entries: rep.entries[:0], Scanned: r.after, from: r.member}
	for _, raw := range rep.entries {
		raw = unproject(raw)
		t, i, _ := raw.Lookup("ts").TimestampOK()
		ts := bson.Timestamp{T: t, I: i}
		if !ts.After(r.after) && (!r.inclusive || !ts.Equal(r.after)) {
			continue
		}
		b.Entries = append(b.Entries, raw)
		b.Scanned = ts
	}
	if rep.scanned.After(b.Scanned) {
		b.Scanned = rep.scanned
	}
	r.inclusive = r.inclusive && b.Scanned.Equal(r.after)
	r.after = b.Scanned
	return b
}

func (r *Reader) find(bounds bson.D, more ...bson.E) bson.D {
	return append(bson.D{
		{Key: "find", Value: collection},
		{Key: "filter", Value: filter(bounds, r.sharded)},
		{Key: "hint", Value: bson.D{{Key: "$natural", Value: 1}}},
		{Key: "projection", Value: projection()},
		{Key: "readConcern", Value: bson.D{{Key: "level", Value: "majority"}}},
		{Key: "$_requestResumeToken", Value: true},
	}, more...)
}

func (r *Reader) getMore(more ...bson.E) bson.D {
	return append(bson.D{
		{Key: "getMore", Value: r.cursor},
		{Key: "collection", Value: collection},
	}, more...)
}

func (r *Reader) read(ctx context.Context, cmd bson.D) (reply, error) {
	return r.readWithin(ctx, requestTimeout, cmd)
}

func (r *Reader) readWithin(ctx context.Context, limit time.Duration, cmd bson.D) (reply, error) {
	raw, err := r.member.runWithin(mongo.NewSessionContext(ctx, r.session), limit, database, cmd)
	if err != nil {
		return reply{}, err
	}
	return parseReply(raw)
}

// kill closes the cursor on the server: after a cancelled read the cursor cannot be used, and
// the server keeps it until its timeout.
func (r *Reader) kill() {
	if r.cursor != 0 {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		// An error does not matter: the server closes the cursor later.
		_ = r.member.Client.Database(database).RunCommand(mongo.NewSessionContext(ctx, r.session),
			bson.D{{Key: "killCursors", Value: collection}, {Key: "cursors", Value: bson.A{r.cursor}}}).Err()
	}
	r.cursor, r.tailing = 0, false
}
