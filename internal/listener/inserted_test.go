package listener

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// TestChanges decides which events only a scan can follow.
func TestChanges(t *testing.T) {
	insert := func(i int) bson.Raw {
		return raw(t, bson.M{"operationType": "insert", "clusterTime": bson.Timestamp{T: 1, I: uint32(i)}, "documentKey": bson.M{"_id": i}})
	}
	for _, c := range []struct {
		name   string
		note   func(l *Listener)
		ids    int
		rescan bool
		at     uint32
	}{
		{"inserts", func(l *Listener) { l.noteEvent(insert(1), false); l.noteEvent(insert(2), false) }, 2, false, 2},
		{"the first event of a stream", func(l *Listener) { l.noteEvent(insert(1), true) }, 0, true, 1},
		{"an insert after it", func(l *Listener) { l.noteEvent(insert(1), true); l.noteEvent(insert(2), false) }, 0, true, 2},
		{"a replacement", func(l *Listener) {
			l.noteEvent(insert(1), false)
			l.noteEvent(raw(t, bson.M{"operationType": "replace", "documentKey": bson.M{"_id": 1}}), false)
		}, 0, true, 1},
		{"a drop", func(l *Listener) { l.noteEvent(raw(t, bson.M{"operationType": "drop"}), false) }, 0, true, 0},
		{"a stream that was opened again", func(l *Listener) { l.noteEvent(insert(1), false); l.streamOpened() }, 0, true, 0},
		{"a timer", func(l *Listener) { l.noteEvent(insert(1), false); l.wakeUp() }, 0, true, 1},
		{"too many", func(l *Listener) {
			for i := range maxInserted + 1 {
				l.noteEvent(insert(i), false)
			}
		}, 0, true, maxInserted},
	} {
		l := &Listener{}
		c.note(l)
		got := l.takeChanges()
		if len(got.inserted) != c.ids || got.rescan != c.rescan || got.at.I != c.at {
			t.Errorf("%s: %d inserted, rescan %t, at %d", c.name, len(got.inserted), got.rescan, got.at.I)
		}
		if left := l.takeChanges(); left.rescan || len(left.inserted) > 0 {
			t.Errorf("%s: %+v is left", c.name, left)
		}
	}
}
