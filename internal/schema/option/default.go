package option

import (
	"math"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/rawdoc"
)

// isStrict reports whether a validationLevel is the default, "strict".
func isStrict(v bson.RawValue) bool { return isText(v, "strict") || isText(v, "") }

// isError reports whether a validationAction is the default, "error".
func isError(v bson.RawValue) bool { return isText(v, "error") || isText(v, "") }

func isText(v bson.RawValue, text string) bool {
	s, ok := v.StringValueOK()
	return ok && s == text
}

// isFalse reports whether a flag is false, in any type that the user wrote.
func isFalse(v bson.RawValue) bool { return !rawdoc.Truthy(v) }

// isDisabled reports whether enabled is false in {enabled: …}.
func isDisabled(v bson.RawValue) bool {
	doc, ok := v.DocumentOK()
	return ok && !rawdoc.Truthy(doc.Lookup("enabled"))
}

func isEmptyDocument(v bson.RawValue) bool {
	doc, ok := v.DocumentOK()
	return ok && len(doc) <= len(bson.Raw{5, 0, 0, 0, 0})
}

// isUnlimited reports whether a max of a capped collection means no limit.
func isUnlimited(v bson.RawValue) bool {
	f, ok := number(v)
	return ok && (math.IsNaN(f) || f <= 0 || f == math.MaxInt32)
}

func isString(v bson.RawValue) bool {
	_, ok := v.StringValueOK()
	return ok
}

// isAppMetadata recognises a storageEngine in which the server stores internal metadata:
// {wiredTiger: {configString: "app_metadata=…"}}.
func isAppMetadata(v bson.RawValue) bool {
	engine, ok := v.DocumentOK()
	if !ok {
		return false
	}
	s, ok := engine.Lookup("wiredTiger", "configString").StringValueOK()
	return ok && strings.Contains(s, "app_metadata=")
}

// anyValue returns true: every value means the same as no value.
func anyValue(bson.RawValue) bool { return true }
