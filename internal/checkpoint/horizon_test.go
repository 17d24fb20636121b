package checkpoint_test

import (
	"testing"
	"time"

	"github.com/ddltail/ddltail/internal/checkpoint"
)

// TestHorizon: a horizon is raised, never lowered, and is no checkpoint of its source.
func TestHorizon(t *testing.T) {
	coll := collection(t)
	if got, err := checkpoint.Horizon(t.Context(), coll, "rs0"); err != nil || !got.IsZero() {
		t.Errorf("before anything was removed: %s, %v", got, err)
	}
	first, later := at(100).Wall, at(200).Wall
	for _, to := range []time.Time{first, later, first} {
		if err := checkpoint.RaiseHorizon(t.Context(), coll, "rs0", to); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := checkpoint.Horizon(t.Context(), coll, "rs0"); err != nil || !got.Equal(later) {
		t.Errorf("got %s, %v, want %s", got, err, later)
	}
	if got, err := checkpoint.Horizon(t.Context(), coll, "rs1"); err != nil || !got.IsZero() {
		t.Errorf("of another source: %s, %v", got, err)
	}
	if all, err := checkpoint.OfSource(t.Context(), coll, "rs0"); err != nil || len(all) != 0 {
		t.Errorf("checkpoints %+v, %v", all, err)
	}
}
