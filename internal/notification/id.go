package notification

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// IDKind is the origin of a notification. Its value is the part of the _id after the source.
type IDKind string

// The kinds of _ids that ddltail writes. Manual notifications have ObjectIds.
const (
	// IDOplog is the _id of a change read from the oplog.
	IDOplog IDKind = ""
	// IDGap is the _id of a HISTORY_GAP.
	IDGap IDKind = "gap"
	// IDSnapshot is the _id of a change inferred from a comparison of catalogs.
	IDSnapshot IDKind = "snapshot"
)

// ID is the _id of a notification that ddltail wrote:
//
//	SOURCE:T:I:n            a change read from the oplog
//	SOURCE:gap:T:I          a gap
//	SOURCE:snapshot:T:I:n   an inferred change
//
// T and I are the two halves of an oplog timestamp. Numbers are padded with zeros to 10,
// 10 and 6 digits, so that the _ids of one source and kind sort in oplog order, and those
// of changes before those of gaps and inferred changes.
type ID struct {
	// Source does not contain a colon.
	Source string
	Kind   IDKind
	TS     bson.Timestamp
	// Ordinal counts the changes of one timestamp from 0. A gap has none.
	Ordinal int
}

// String returns the _id as it is stored.
func (id ID) String() string {
	prefix := id.Source + ":"
	if id.Kind != IDOplog {
		prefix += string(id.Kind) + ":"
	}
	if id.Kind == IDGap {
		return prefix + Place(id.TS)
	}
	return fmt.Sprintf("%s%s:%06d", prefix, Place(id.TS), id.Ordinal)
}

// Place returns T:I of a timestamp, padded so that the texts sort in oplog order.
func Place(ts bson.Timestamp) string { return fmt.Sprintf("%010d:%010d", ts.T, ts.I) }

// Short returns the form that tables print and `history show` accepts: without padding,
// without an ordinal of 0, and with the source only if withSource is true.
func (id ID) Short(withSource bool) string {
	var parts []string
	if withSource {
		parts = append(parts, id.Source)
	}
	if id.Kind != IDOplog {
		parts = append(parts, string(id.Kind))
	}
	parts = append(parts, strconv.FormatUint(uint64(id.TS.T), 10), strconv.FormatUint(uint64(id.TS.I), 10))
	if id.Kind == IDSnapshot || id.Kind == IDOplog && id.Ordinal != 0 {
		parts = append(parts, strconv.Itoa(id.Ordinal))
	}
	return strings.Join(parts, ":")
}

// ErrNotID is returned for a text that is neither an _id written by ddltail nor a short form.
var ErrNotID = errors.New("not the _id of a notification written by ddltail")

// ParseID parses an _id or its short form. The source is empty if the text has none.
func ParseID(text string) (ID, error) {
	const form = `^(?:([A-Za-z0-9._-]+):)??(?:(gap|snapshot):)?(\d{1,10}):(\d{1,10})(?::(\d{1,6}))?$`
	parts := regexp.MustCompile(form).FindStringSubmatch(text)
	if parts == nil {
		return ID{}, ErrNotID
	}
	t, errT := strconv.ParseUint(parts[3], 10, 32)
	i, errI := strconv.ParseUint(parts[4], 10, 32)
	if errT != nil || errI != nil {
		return ID{}, ErrNotID
	}
	id := ID{Source: parts[1], Kind: IDKind(parts[2]), TS: bson.Timestamp{T: uint32(t), I: uint32(i)}}
	if parts[5] == "" {
		return id, nil
	}
	if id.Kind == IDGap {
		return ID{}, ErrNotID
	}
	var err error
	id.Ordinal, err = strconv.Atoi(parts[5])
	return id, err
}

// IDRange is a range of _ids; both ends are excluded.
type IDRange struct{ From, To string }

// AllIDs is the range of every _id of a source.
func AllIDs(source string) IDRange { return IDRange{source + ":", source + ";"} }

// IDsOfKind is the range of a source's _ids of one kind.
func IDsOfKind(source string, kind IDKind) IDRange {
	if kind == IDOplog {
		// A digit follows the source, and ':' is the character after '9'.
		return IDRange{source + ":0", source + "::"}
	}
	return IDRange{source + ":" + string(kind) + ":", source + ":" + string(kind) + ";"}
}

// After narrows the range to the _ids of changes after a timestamp.
func (r IDRange) After(ts bson.Timestamp) IDRange {
	source, _, _ := strings.Cut(r.From, ":")
	r.From = source + ":" + Place(ts) + ":~"
	return r
}

// UpTo narrows the range of one kind to the _ids at or before a timestamp.
func (r IDRange) UpTo(ts bson.Timestamp) IDRange {
	r.To = strings.TrimSuffix(r.From, "0") + Place(ts) + ":~"
	return r
}

// Filter selects the documents whose _id is in the range.
func (r IDRange) Filter() bson.E {
	return bson.E{Key: "_id", Value: bson.D{{Key: "$gt", Value: r.From}, {Key: "$lt", Value: r.To}}}
}
