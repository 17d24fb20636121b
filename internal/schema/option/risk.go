package option

import (
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/rawdoc"
	"github.com/ddltail/ddltail/internal/risk"
)

// Risk is the risk of setting an option on an object in use. The zero value is routine.
type Risk struct {
	Level risk.Level
	// Why is the reason, for the documentation.
	Why string
	// When reports whether a value has the risk; nil for every value that differs from the
	// previous one.
	When func(value, previous bson.RawValue) bool
}

// Of returns the risk of setting the option to a value. An option that is not set, or that does
// not change, has none.
func (r Risk) Of(value, previous bson.RawValue) risk.Level {
	if r.Level == "" || value.IsZero() || value.Equal(previous) || r.When != nil && !r.When(value, previous) {
		return risk.Routine
	}
	return r.Level
}

// expiresEarlier reports whether an expiry is new, or shorter than the previous one.
func expiresEarlier(value, previous bson.RawValue) bool {
	seconds, ok := value.AsInt64OK()
	if !ok {
		return false // "off", or no expiry
	}
	before, had := previous.AsInt64OK()
	return !had || seconds < before
}

// shrinks reports whether a limit is new or smaller; 0 means no limit.
func shrinks(value, previous bson.RawValue) bool {
	limit, _ := value.AsInt64OK()
	before, had := previous.AsInt64OK()
	return limit > 0 && (!had || before <= 0 || limit < before)
}

// turnedOn reports whether a flag is set and was not set before.
func turnedOn(value, previous bson.RawValue) bool {
	return rawdoc.Truthy(value) && !rawdoc.Truthy(previous)
}
