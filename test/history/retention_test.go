package history

import (
	"context"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/test/mongotest"
)

// TestHistoryTTL restarts `run` with a short TTL, and checks that the current schema
// remains known, and that queries of earlier times note what was removed.
func TestHistoryTTL(t *testing.T) {
	client := mongotest.Connect(t, set.URI())
	at := []string{"DDLTAIL_MONGODB_URI=" + set.URI(), "DDLTAIL_DATABASE=forgetful"}
	p := start(t, at...)
	db := client.Database("aging")
	early := time.Now()
	for _, name := range []string{"kept", "gone"} {
		if err := db.CreateCollection(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Collection("gone").Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Second)
	if err := db.CreateCollection(t.Context(), "late"); err != nil {
		t.Fatal(err)
	}
	healthy(t, at)
	if _, err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	p = start(t, append(at, "DDLTAIL_HISTORY_TTL=1s")...)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := p.WaitLog(ctx, "removed old history"); err != nil {
		t.Fatal(err)
	}
	out := command{[]string{"history", "--as-of", "now"}, at}.ok(t)
	contains(t, out, "aging.kept", "aging.late")
	containsNot(t, out, "aging.gone", "removed because of its age")
	contains(t, command{[]string{"history", "--as-of", early.Format(time.RFC3339Nano)}, at}.ok(t), "removed because of its age")
	containsNot(t, command{[]string{"history"}, at}.ok(t), "aging.kept")
	n, err := client.Database("forgetful").Collection("schema_catalog").CountDocuments(t.Context(), bson.D{{Key: "ns", Value: "aging.gone"}})
	if err != nil || n != 0 {
		t.Errorf("%d versions of what was dropped, %v", n, err)
	}
}
