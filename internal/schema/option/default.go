package option

import (
	"math"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/rawdoc"
)

// strict reports whether a validationLevel is the default.
func strict(v bson.RawValue) bool { return isText(v, "strict") || isText(v, "") }

// fails reports whether a validationAction is the default.
func fails(v bson.RawValue) bool { return isText(v, "error") || isText(v, "") }

func isText(v bson.RawValue, text string) bool {
	s, ok := v.StringValueOK()
	return ok && s == text
}

// off reports whether a flag is false, whatever type the user wrote it as.
func off(v bson.RawValue) bool { return !rawdoc.Truthy(v) }

// disabled reports whether {enabled: …} is not on.
func disabled(v bson.RawValue) bool {
	doc, ok := v.DocumentOK()
	return ok && !rawdoc.Truthy(doc.Lookup("enabled"))
}

func emptyDocument(v bson.RawValue) bool {
	doc, ok := v.DocumentOK()
	return ok && len(doc) <= len(bson.Raw{5, 0, 0, 0, 0})
}

func noMaximum(v bson.RawValue) bool {
	f, ok := number(v)
	return ok && (math.IsNaN(f) || f <= 0 || f == math.MaxInt32)
}

func isString(v bson.RawValue) bool {
	_, ok := v.StringValueOK()
	return ok
}

func always(bson.RawValue) bool { return true }
