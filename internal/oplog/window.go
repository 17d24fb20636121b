package oplog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

const (
	firstSpan = 30 * time.Second
	minSpan   = time.Second
	maxSpan   = 24 * time.Hour
	// A scan without matches replies only at its end. These limits keep a scan at about a
	// second, regardless of the oplog's content.
	fastScan = 300 * time.Millisecond
	slowScan = 1500 * time.Millisecond
	scanCap  = 5 * time.Second
)

// window is a bounded part of the oplog, read by one cursor. Its span is oplog time, adapted to
// how long the previous window took to read.
type window struct {
	span  time.Duration
	end   Entry
	head  OpTime
	began time.Time
}

func (w *window) open(cursor int64) bool { return cursor != 0 }

// adapt adjusts the next span to how long this one took.
func (w *window) adapt(took time.Duration) {
	switch {
	case took < fastScan:
		w.span = min(w.span*2, maxSpan)
	case took > slowScan:
		w.span = max(w.span/2, minSpan)
	}
}

// startWindow opens a cursor from the position to an end found by a seek.
func (r *Reader) startWindow(ctx context.Context, head OpTime) (Batch, error) {
	r.window.head = head
	end, err := r.windowEnd(ctx, head)
	if err != nil {
		return Batch{}, err
	}
	r.window.end = end
	r.window.began = time.Now()
	from := "$gt"
	if r.inclusive {
		from = "$gte"
	}
	cmd := r.find(bson.D{{Key: from, Value: r.after}, {Key: "$lte", Value: end.OpTime.TS}})
	if r.window.span > minSpan {
		cmd = append(cmd, bson.E{Key: "maxTimeMS", Value: scanCap.Milliseconds()})
	}
	return r.finishWindow(r.read(ctx, cmd))
}

func (r *Reader) continueWindow(ctx context.Context) (Batch, error) {
	return r.finishWindow(r.read(ctx, r.getMore()))
}

// finishWindow processes a reply of the window's cursor. A scan that exceeds its time is not
// an error: the next window starts where this one ended, and is shorter.
func (r *Reader) finishWindow(rep reply, err error) (Batch, error) {
	if isMaxTimeExpired(err) {
		r.cursor = 0
		r.window.span = max(r.window.span/4, minSpan)
		return Batch{Scanned: r.after, Head: r.window.head}, nil
	}
	if err != nil {
		return Batch{}, fmt.Errorf("read the oplog of %s up to %s: %w", r.member.Host, r.window.end.OpTime, err)
	}
	if rep.cursor == 0 {
		rep.scanned = r.window.end.OpTime.TS
		r.window.adapt(time.Since(r.window.began))
	}
	b := r.advance(rep)
	b.Head = r.window.head
	return b, nil
}

func (r *Reader) windowEnd(ctx context.Context, head OpTime) (Entry, error) {
	from := bson.Timestamp{T: r.after.T + uint32(r.window.span/time.Second)}
	if from.After(head.TS) {
		return Entry{OpTime: head}, nil
	}
	end, ok, err := r.member.From(ctx, from, head.TS)
	if err != nil {
		return Entry{}, err
	}
	if !ok {
		return Entry{OpTime: head}, nil
	}
	return end, nil
}

func isMaxTimeExpired(err error) bool {
	var ce mongo.CommandError
	return errors.As(err, &ce) && ce.Code == codeMaxTimeMSExpired
}
