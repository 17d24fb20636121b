package detector

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// TestTypedKey: indexes created on the buckets of a time series with the fields t and m, and
// what 6.0.27 lists for the time series; empty where it lists nothing, or an empty key.
func TestTypedKey(t *testing.T) {
	for stored, want := range map[string]string{
		`{"control.min.t": 1}`:                                  `{"t":1}`,
		`{"control.max.t": 1}`:                                  ``,
		`{"control.min.t": -1}`:                                 `{"t":-1}`,
		`{"control.max.t": -1, "control.min.t": -1}`:            `{"t":-1}`,
		`{"control.min.t": 1, "control.max.t": 1}`:              `{"t":1}`,
		`{"control.max.t": 1, "control.min.t": 1}`:              `{"t":1}`,
		`{"control.min.t": 1, "control.max.t": -1}`:             `{"t":1}`,
		`{"control.min.t": "hashed"}`:                           ``,
		`{"control.min.x": 1}`:                                  ``,
		`{"control.min.x": 1, "control.max.x": 1}`:              `{"x":1}`,
		`{"control.max.x": -1, "control.min.x": -1}`:            `{"x":-1}`,
		`{"control.max.x": 1, "control.min.x": 1}`:              ``,
		`{"control.min.x": 1, "control.max.y": 1}`:              ``,
		`{"control.min.x.y": 1, "control.max.x.y": 1}`:          `{"x.y":1}`,
		`{"control.min.m": 1, "control.max.m": 1}`:              `{"m":1}`,
		`{"data.x": "2dsphere_bucket"}`:                         `{"x":"2dsphere"}`,
		`{"data.x": "2dsphere"}`:                                ``,
		`{"data.x": 1}`:                                         ``,
		`{"meta": 1, "control.min.t": 1, "control.max.t": 1}`:   `{"m":1,"t":1}`,
		`{"meta": 1, "control.min.t": 1, "meta.x": "2dsphere"}`: `{"m":1,"t":1,"m.x":"2dsphere"}`,
		`{"meta": 1, "control.max.t": -1, "control.min.t": -1, "control.min.z": 1, "control.max.z": 1}`: `{"m":1,"t":-1,"z":1}`,
		`{"meta.$**": 1}`:              `{"m.$**":1}`,
		`{"_id": 1, "meta": 1}`:        ``,
		`{"meta": 1, "foo": 1}`:        ``,
		`{"control.version": 1}`:       ``,
		`{"_fts": "text", "_ftsx": 1}`: ``,
	} {
		var key bson.Raw
		if err := bson.UnmarshalExtJSON([]byte(stored), true, &key); err != nil {
			t.Fatal(err)
		}
		typed, exact, err := typedKey(key, seriesFields{time: "t", meta: "m"})
		if err != nil {
			t.Fatal(err)
		}
		var got string
		if exact {
			text, err := bson.MarshalExtJSON(typed, false, false)
			if err != nil {
				t.Fatal(err)
			}
			got = string(text)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", stored, got, want)
		}
	}
}
