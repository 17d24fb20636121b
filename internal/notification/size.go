package notification

import (
	"slices"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"
)

const (
	// maxDocument is the maximum size of a document in bytes: the server's limit of 16 MB, less
	// headroom for the fields that consumers add.
	maxDocument = 16<<20 - 64<<10
	// keptText is the length in bytes to which a text is truncated.
	keptText = 1 << 10
	// fixedSize is the approximate size of the fields that every document has.
	fixedSize = 1 << 10
)

// cutToFit cuts the largest field until the document fits into BSON, and adds the names of the
// fields that were cut. Definitions and executable statements are removed entirely, because a
// part of one would be wrong. The display text, operation_statement, is truncated.
func cutToFit(doc bson.D, truncated []string) bson.D {
	for size(doc) > maxDocument {
		at := largest(doc)
		if at < 0 {
			break
		}
		truncated = append(truncated, doc[at].Key)
		if text, ok := doc[at].Value.(string); ok && doc[at].Key == "operation_statement" {
			doc[at].Value = shortened(text)
			continue
		}
		doc = slices.Delete(doc, at, at+1)
	}
	if len(truncated) > 0 {
		doc = append(doc, bson.E{Key: "truncated", Value: truncated})
	}
	return doc
}

// Cut reduces a notification that exceeds the limit of a target, and reports whether there was
// something to cut. It removes the first field present of before, after, command, mongosh, undo,
// operation_statement (which is truncated instead), cause and collections.
func Cut(doc bson.D) (bson.D, bool) {
	for _, field := range []string{"before", "after", "command", "mongosh", "undo", "operation_statement", "cause", "collections"} {
		at := slices.IndexFunc(doc, func(el bson.E) bool { return el.Key == field })
		if at < 0 {
			continue
		}
		if text, ok := doc[at].Value.(string); ok && field == "operation_statement" {
			if len(text) <= 2*keptText {
				continue
			}
			doc[at].Value = shortened(text)
		} else {
			doc = slices.Delete(doc, at, at+1)
		}
		return addTruncated(doc, field), true
	}
	return doc, false
}

func addTruncated(doc bson.D, field string) bson.D {
	at := slices.IndexFunc(doc, func(el bson.E) bool { return el.Key == "truncated" })
	if at < 0 {
		return append(doc, bson.E{Key: "truncated", Value: []string{field}})
	}
	if fields, ok := doc[at].Value.([]string); ok && !slices.Contains(fields, field) {
		doc[at].Value = append(slices.Clone(fields), field)
	}
	return doc
}

// Reduced returns the minimal notification, which every target accepts: its _id and the six fields
// that consumers rely on, with long texts truncated.
func Reduced(doc bson.D) bson.D {
	var out bson.D
	for _, el := range doc {
		switch el.Key {
		case "_id", "operation", "collection", "index_name", "operation_statement", "timestamp", "processed":
			if text, ok := el.Value.(string); ok && len(text) > 2*keptText {
				el.Value = shortened(text)
			}
			out = append(out, el)
		}
	}
	return out
}

func shortened(text string) string {
	for i := keptText; i > 0; i-- {
		if utf8.RuneStart(text[i]) {
			return text[:i] + "…"
		}
	}
	return ""
}

// largest returns the index of the largest field that may be cut, or -1.
func largest(doc bson.D) int {
	at, most := -1, 2*keptText // less is not worth a cut
	for i, el := range doc {
		switch el.Key {
		case "operation_statement", "mongosh", "undo", "before", "after", "cause", "command", "collections":
			if n := size(bson.D{el}); n > most {
				at, most = i, n
			}
		}
	}
	return at
}

// size estimates the BSON size of a document. It counts only the types of fields that can be
// large, and underestimates by at most the headroom of maxDocument.
func size(doc bson.D) int {
	total := 0
	for _, el := range doc {
		total += len(el.Key) + 64
		switch v := el.Value.(type) {
		case string:
			total += len(v)
		case bson.Raw:
			total += len(v)
		case []string:
			for _, text := range v {
				total += len(text) + 16
			}
		}
	}
	return total
}

// Size estimates the BSON size of the document before it is cut to fit, without marshalling it.
func (d Document) Size() int {
	c := d.Change
	n := fixedSize + len(d.ID) + len(c.Database) + 2*len(c.Collection) + len(c.IndexName) + len(c.To) +
		len(c.Statement) + len(c.Mongosh) + len(c.Undo) + len(c.Before) + len(c.After) + len(c.Cause) + len(c.Command)
	for _, name := range c.Collections {
		n += len(name) + 16
	}
	return n
}
