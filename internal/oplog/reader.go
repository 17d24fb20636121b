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
	// nearHead is how far behind the head a tailable cursor may start. Behind it
	// lie windows, whose scans are short enough to report progress.
	nearHead = 10 * time.Second
	// idleLimit is the longest pause between two reads of a tailable cursor after
	// which what has piled up is read in windows instead.
	idleLimit = 30 * time.Second
)

// Batch is one reply of the server.
type Batch struct {
	// Entries match the filter and lie behind everything returned before. They
	// are valid until the next call.
	Entries []bson.Raw
	// Scanned is how far the server has read, at or behind the last entry. Its
	// term is not known: Member.At returns it.
	Scanned bson.Timestamp
	// Head is the newest majority-committed entry at the start of a window, and
	// zero while tailing.
	Head OpTime
	// Tailing is true if the reader follows the head.
	Tailing bool
	// from is the member, for the earlier entries of a transaction.
	from Fetcher
}

// Units yields what took effect with each entry, in oplog order. An entry is decoded,
// and its transaction assembled, only when it is asked for: one unit is in memory at a
// time. With an error the unit holds the position alone; with a *DecodeError also the
// entry as far as it could be decoded.
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
	// Inclusive includes the entry at Position: a first run that begins at
	// the oldest entry has not read it yet.
	Inclusive bool
	// Sharded includes the no-ops that a shard writes about its collections'
	// sharding.
	Sharded bool
	// LatencyTarget is the longest delay that the reader may add at the head, where much is
	// written: read less often, the member spends less on it. 0 is none.
	LatencyTarget time.Duration
}

// Reader reads the entries of one member that can hold schema changes, in oplog
// order, majority-committed only: what can still roll back is never returned.
//
// It begins with windows bounded on both sides and continues with a tailable
// cursor near the head. A Reader that failed is done for: open another.
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

// Open proves that the member still holds the entry at the start's position,
// with the same term, and returns a reader that continues from there. Where it does
// not, the error is a *PositionError.
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

// Next waits at most about a second for entries, or for the latency target, and returns what the server has
// read by then, which can be none.
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

// Close returns the cursor back to the server. It uses its own time, since the
// caller's context is often the reason for closing.
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

// startTail opens a tailable cursor. What it returns at once says nothing of the write rate.
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

// continueTail reads on as the pace says.
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

// advance moves the reader past what a reply held. A tailable cursor begins at
// the last position itself, so that the cursor has a record to begin at: that one, and
// everything else that was returned before, is left out.
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

// kill closes the cursor on the server: one that a cancelled read has left is
// dead to us, and held by the server until its time-out.
func (r *Reader) kill() {
	if r.cursor != 0 {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		// An answer would change nothing: the server drops the cursor by itself later.
		_ = r.member.Client.Database(database).RunCommand(mongo.NewSessionContext(ctx, r.session),
			bson.D{{Key: "killCursors", Value: collection}, {Key: "cursors", Value: bson.A{r.cursor}}}).Err()
	}
	r.cursor, r.tailing = 0, false
}
