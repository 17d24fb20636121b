package oplog

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

func cursorReply(batch string, entries bson.A, more ...bson.E) bson.D {
	cursor := append(bson.D{{Key: "id", Value: int64(9)}, {Key: batch, Value: entries}, {Key: "ns", Value: "local.oplog.rs"}}, more...)
	return bson.D{{Key: "cursor", Value: cursor}, {Key: "ok", Value: 1.0}}
}

func token(doc bson.D) bson.E { return bson.E{Key: "postBatchResumeToken", Value: doc} }

func TestParseReply(t *testing.T) {
	at := bson.Timestamp{T: 1795480031, I: 7}
	two := bson.A{bson.D{{Key: "op", Value: "c"}}, bson.D{{Key: "op", Value: "n"}}}
	for name, c := range map[string]struct {
		doc  bson.D
		want reply
	}{
		"from 5.0 on":        {cursorReply("firstBatch", two, token(bson.D{{Key: "ts", Value: at}})), reply{cursor: 9, scanned: at}},
		"4.4":                {cursorReply("nextBatch", two, token(bson.D{{Key: "$recordId", Value: int64(1795480031)<<32 | 7}})), reply{cursor: 9, scanned: at}},
		"an id that is none": {cursorReply("nextBatch", two, token(bson.D{{Key: "$recordId", Value: int64(-1)}})), reply{cursor: 9}},
		"none":               {cursorReply("firstBatch", two), reply{cursor: 9}},
		"4.4's first reply":  {cursorReply("firstBatch", two, token(bson.D{{Key: "$recordId", Value: bson.Null{}}})), reply{cursor: 9}},
		"a token of nothing": {cursorReply("firstBatch", two, token(bson.D{})), reply{cursor: 9}},
	} {
		got, err := parseReply(marshal(t, c.doc))
		if err != nil || got.cursor != c.want.cursor || got.scanned != c.want.scanned || len(got.entries) != 2 {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, c.want)
		}
	}
	r, err := parseReply(marshal(t, cursorReply("firstBatch", bson.A{})))
	if err != nil || len(r.entries) != 0 {
		t.Errorf("an empty batch: %+v, %v", r, err)
	}
}

func TestParseReplyMistakes(t *testing.T) {
	for want, doc := range map[string]bson.D{
		"no cursor":            {{Key: "ok", Value: 1.0}},
		"no cursor id":         {{Key: "cursor", Value: bson.D{{Key: "id", Value: "9"}, {Key: "firstBatch", Value: bson.A{}}}}},
		"no batch":             {{Key: "cursor", Value: bson.D{{Key: "id", Value: int64(9)}}}},
		"entry of type string": cursorReply("nextBatch", bson.A{"x"}),
	} {
		if _, err := parseReply(marshal(t, doc)); !errors.Is(err, errMalformedReply) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func FuzzParseReply(f *testing.F) {
	f.Add([]byte(marshal(f, cursorReply("firstBatch", bson.A{whole()}, token(bson.D{{Key: "ts", Value: bson.Timestamp{T: 1, I: 2}}})))))
	f.Add([]byte(marshal(f, cursorReply("nextBatch", bson.A{whole()}, token(bson.D{{Key: "$recordId", Value: int64(1)}})))))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseReply(data)
		if err != nil && !errors.Is(err, errMalformedReply) {
			t.Errorf("the error is %v", err)
		}
		size := 0
		for _, e := range r.entries {
			size += len(e)
		}
		if size > len(data) || cap(r.entries) > len(data) {
			t.Errorf("%d bytes became %d entries of %d", len(data), cap(r.entries), size)
		}
	})
}

func TestWindowAdapts(t *testing.T) {
	for _, c := range []struct {
		span, took, want time.Duration
	}{
		{time.Minute, 0, 2 * time.Minute},
		{time.Minute, fastScan - 1, 2 * time.Minute},
		{time.Minute, fastScan, time.Minute},
		{time.Minute, slowScan, time.Minute},
		{time.Minute, slowScan + 1, 30 * time.Second},
		{minSpan, time.Hour, minSpan},
		{maxSpan, 0, maxSpan},
		{maxSpan - time.Second, 0, maxSpan},
	} {
		w := window{span: c.span}
		w.adapt(c.took)
		if w.span != c.want {
			t.Errorf("a span of %s that took %s becomes %s, want %s", c.span, c.took, w.span, c.want)
		}
	}
}

func TestReasonOf(t *testing.T) {
	wrap := func(err error) error { return fmt.Errorf("step: %w", err) }
	code := func(n int32) error { return wrap(mongo.CommandError{Code: n}) }
	for _, c := range []struct {
		err  error
		want Reason
	}{
		{code(43), ReasonCursor}, {code(136), ReasonCursor}, {code(175), ReasonCursor}, {code(237), ReasonCursor},
		{code(91), ReasonMemberState}, {code(189), ReasonMemberState}, {code(10107), ReasonMemberState},
		{code(11600), ReasonMemberState}, {code(11602), ReasonMemberState}, {code(13435), ReasonMemberState},
		{code(13436), ReasonMemberState}, {code(134), ReasonNotAvailable}, {code(13), ReasonUnauthorized},
		{code(18), ReasonUnauthorized}, {code(9999), ReasonOther},
		{wrap(&PositionError{}), ReasonPosition},
		{wrap(errNoReply), ReasonNetwork}, {wrap(context.DeadlineExceeded), ReasonNetwork},
		{wrap(&net.OpError{Op: "dial", Err: errors.New("refused")}), ReasonNetwork},
		{wrap(mongo.CommandError{Labels: []string{"NetworkError"}}), ReasonNetwork},
		{errors.New("unheard of"), ReasonOther},
	} {
		got := ReasonOf(c.err)
		if got != c.want {
			t.Errorf("%v: got %s, want %s", c.err, got, c.want)
		}
		if !slices.Contains(Reasons(), got) {
			t.Errorf("%s is not among the reasons", got)
		}
	}
}

func TestPositionError(t *testing.T) {
	for _, c := range []struct {
		err                error
		truncated, lagging bool
		text               string
	}{
		{&PositionError{Position: optime(5, 1, 1), Oldest: optime(6, 1, 1), Head: optime(9, 1, 1)}, true, false, "its oplog begins at 6:1:1"},
		{&PositionError{Position: optime(5, 2, 1), Oldest: optime(1, 1, 1), Head: optime(5, 1, 1)}, false, true, "newest majority-committed entry is 5:1:1"},
		{&PositionError{Position: optime(5, 1, 1), Oldest: optime(1, 1, 1), Head: optime(9, 1, 2), FoundTerm: 2}, false, false, "has term 2: another history"},
		{&PositionError{Position: optime(5, 1, 1), Oldest: optime(1, 1, 1), Head: optime(5, 1, 2), FoundTerm: 2}, false, false, "has term 2: another history"},
		{&PositionError{Position: optime(5, 1, 1), Oldest: optime(1, 1, 1), Head: optime(9, 1, 1)}, false, false, "another history"},
	} {
		var e *PositionError
		if !errors.As(c.err, &e) || e.Truncated() != c.truncated || e.Lagging() != c.lagging {
			t.Errorf("%v: truncated %t, lagging %t", c.err, e.Truncated(), e.Lagging())
		}
		if text := c.err.Error(); !strings.Contains(text, c.text) || !strings.Contains(text, e.Position.String()) {
			t.Errorf("got %q, want %q", text, c.text)
		}
	}
}
