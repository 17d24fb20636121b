package oplog

import (
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// reply is the reply to a find or a getMore on the oplog.
type reply struct {
	cursor  int64
	entries []bson.Raw
	// scanned is how far the server has read, matches or not; zero if the reply does not
	// contain it.
	scanned bson.Timestamp
}

var errMalformedReply = errors.New("malformed reply")

func parseReply(raw bson.Raw) (reply, error) {
	cursor, ok := raw.Lookup("cursor").DocumentOK()
	if !ok {
		return reply{}, fmt.Errorf("%w: no cursor", errMalformedReply)
	}
	id, ok := cursor.Lookup("id").AsInt64OK()
	if !ok {
		return reply{}, fmt.Errorf("%w: no cursor id", errMalformedReply)
	}
	batch, ok := cursor.Lookup("nextBatch").ArrayOK()
	if !ok {
		batch, ok = cursor.Lookup("firstBatch").ArrayOK()
	}
	if !ok {
		return reply{}, fmt.Errorf("%w: no batch", errMalformedReply)
	}
	values, err := batch.Values()
	if err != nil {
		return reply{}, fmt.Errorf("%w: %w", errMalformedReply, err)
	}
	r := reply{cursor: id, entries: make([]bson.Raw, 0, len(values)), scanned: resumePoint(cursor)}
	for _, v := range values {
		doc, ok := v.DocumentOK()
		if !ok {
			return reply{}, fmt.Errorf("%w: entry of type %s", errMalformedReply, v.Type)
		}
		r.entries = append(r.entries, doc)
	}
	return r, nil
}

// resumePoint reads postBatchResumeToken in both its forms: {ts} from 5.0 on,
// {$recordId} on 4.4, where an oplog entry's record id is its timestamp.
func resumePoint(cursor bson.Raw) bson.Timestamp {
	token, ok := cursor.Lookup("postBatchResumeToken").DocumentOK()
	if !ok {
		return bson.Timestamp{}
	}
	if t, i, ok := token.Lookup("ts").TimestampOK(); ok {
		return bson.Timestamp{T: t, I: i}
	}
	if id, ok := token.Lookup("$recordId").AsInt64OK(); ok && id > 0 {
		return bson.Timestamp{T: uint32(id >> 32), I: uint32(id)}
	}
	return bson.Timestamp{}
}
