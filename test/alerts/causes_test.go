package alerts

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/test/mongotest"
)

// unknownEntries inserts unknown entries after ddltail's checkpoint and before the server's, because the server could not replay
// them.
func unknownEntries(t *testing.T, f *fleet, s *servers) {
	set := s.small(t)
	variables := []string{"DDLTAIL_MONGODB_URI=" + set.URI(), "DDLTAIL_DATABASE=strange"}
	p := start(t, []string{"run"}, variables...)
	f.scrape(t, p)
	_, err := p.Stop(t.Context())
	ok(t, err)
	insertEntries(t, set,
		bson.D{{Key: "o", Value: bson.D{{Key: "fromTheFuture", Value: "payments"}}}},
		bson.D{{Key: "o", Value: bson.D{{Key: "create", Value: "payments"}}}, {Key: "ui", Value: 5}})
	instance := f.scrape(t, start(t, []string{"run"}, variables...))
	f.await(t, "a command in the oplog that no version has", of(instance, "DdltailUnknownCommand")...)
	f.await(t, "an entry in the oplog whose UUID is a number", of(instance, "DdltailMalformedEntry")...)
}

func historyLost(t *testing.T, f *fleet, s *servers) {
	set := s.small(t)
	client := mongotest.Connect(t, set.URI())
	variables := []string{"DDLTAIL_MONGODB_URI=" + set.URI(), "DDLTAIL_DATABASE=lost"}
	p := start(t, []string{"run"}, variables...)
	f.scrape(t, p)
	_, err := p.Stop(t.Context())
	ok(t, err)
	rollOver(t, client)
	instance := f.scrape(t, start(t, []string{"run"}, variables...))
	f.await(t, "run is stopped until the oplog of 16 MB has rolled over, then started", of(instance, "DdltailHistoryGap")...)
}

func invalidView(t *testing.T, f *fleet, s *servers) {
	set := s.small(t)
	client := mongotest.Connect(t, set.URI())
	p := start(t, []string{"run"}, "DDLTAIL_MONGODB_URI="+set.URI(), "DDLTAIL_DATABASE=unlisted", "DDLTAIL_RECONCILE=1s")
	f.trigger(t, "an invalid document in system.views", func() {
		ok(t, client.Database("badviews").RunCommand(t.Context(), bson.D{
			{Key: "create", Value: "fine"}, {Key: "viewOn", Value: "payments"}, {Key: "pipeline", Value: bson.A{}},
		}).Err())
		ok(t, client.Database("admin").RunCommand(t.Context(), bson.D{{Key: "applyOps", Value: bson.A{bson.D{
			{Key: "op", Value: "i"}, {Key: "ns", Value: "badviews.system.views"}, {Key: "o", Value: bson.D{{Key: "_id", Value: "badviews.bad"}, {Key: "viewOn", Value: 5}}},
		}}}}).Err())
	}, of(f.scrape(t, p), "DdltailUnlistedNamespaces")...)
}

// fewPrivileges sets a TTL with a user that may not remove history: create-user.js grants
// that only on request.
func fewPrivileges(t *testing.T, f *fleet, s *servers) {
	variables := []string{"DDLTAIL_MONGODB_URI=" + s.userOf(t, "narrow"), "DDLTAIL_DATABASE=narrow", "DDLTAIL_SOURCE=narrow"}
	p := start(t, []string{"run"}, variables...)
	eventually(t, time.Minute, "history to remove", func() bool {
		n, err := s.client.Database("narrow").Collection("schema_history").CountDocuments(t.Context(), bson.D{})
		ok(t, err)
		return n > 4
	})
	_, err := p.Stop(t.Context())
	ok(t, err)
	instance := f.scrape(t, start(t, []string{"run"}, append(variables, "DDLTAIL_HISTORY_TTL=1s")...))
	f.await(t, "DDLTAIL_HISTORY_TTL=1s with a user that may not remove history", of(instance, "DdltailPrivilegesMissing", "DdltailRetentionErrors")...)
}

func drifting(t *testing.T, f *fleet, s *servers) {
	declared := filepath.Join(t.TempDir(), "schema.js")
	ok(t, os.WriteFile(declared, []byte("db.getSiblingDB('drift').createCollection('payments')\n"), 0o600))
	s.create(t, "drift", "payments", 0)
	p := start(t, []string{"run"}, s.variables("drifting", "DDLTAIL_DECLARED="+declared, "DDLTAIL_DRIFT_SETTLE=1s")...)
	f.trigger(t, "a declared collection is dropped", func() {
		ok(t, s.client.Database("drift").Collection("payments").Drop(t.Context()))
	}, of(f.scrape(t, p), "DdltailDrift")...)
}

func expiring(t *testing.T, f *fleet, s *servers) {
	variables := s.variables("expiring")
	variables[0] += "&tls=true&tlsCAFile=" + s.ca()
	instance := f.scrape(t, start(t, []string{"run"}, variables...))
	f.await(t, "a CA that expires in ten days", of(instance, "DdltailCertificateExpiring")...)
}

// listener returns the variables of a `listen` whose backend answers with a status.
func (s *servers) listener(t *testing.T, name string, status int) []string {
	t.Helper()
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	t.Cleanup(backend.Close)
	return s.variables(name, "DDLTAIL_BACKEND_URL="+backend.URL)
}

// queue adds notifications with the current time to the queue of a database.
func (s *servers) queue(t *testing.T, name string, count int) {
	t.Helper()
	docs := make([]any, count)
	for i := range docs {
		docs[i] = bson.D{
			{Key: "operation", Value: "CREATE_COLLECTION"}, {Key: "collection", Value: "payments"}, {Key: "operation_statement", Value: "CREATE COLLECTION payments"},
			{Key: "timestamp", Value: float64(time.Now().UnixMilli()) / 1000}, {Key: "processed", Value: false},
		}
	}
	_, err := s.client.Database(name).Collection("schema_notifications").InsertMany(t.Context(), docs)
	ok(t, err)
}

func misconfigured(t *testing.T, f *fleet, s *servers) {
	p := start(t, []string{"listen"}, s.listener(t, "misconfigured", http.StatusNotFound)...)
	f.trigger(t, "the backend answers 404", func() { s.queue(t, "misconfigured", 1) }, of(f.scrape(t, p), "DdltailDeliveryMisconfigured")...)
}

func rejected(t *testing.T, f *fleet, s *servers) {
	p := start(t, []string{"listen"}, s.listener(t, "rejected", http.StatusGone)...)
	f.trigger(t, "the backend answers 410", func() { s.queue(t, "rejected", 1) }, of(f.scrape(t, p), "DdltailDeliveryRejected", "DdltailNotDelivered")...)
}

func late(t *testing.T, f *fleet, s *servers) {
	p := start(t, []string{"listen"}, s.listener(t, "late", http.StatusServiceUnavailable)...)
	f.trigger(t, "the backend answers 503", func() { s.queue(t, "late", 1) },
		of(f.scrape(t, p), "DdltailDeliveryLate", "DdltailReceiverLate", "DdltailPartitionsBlocked")...)
}

func noConsumer(t *testing.T, f *fleet, s *servers) {
	p := start(t, []string{"run"}, s.variables("unconsumed")...)
	f.trigger(t, "1001 notifications and no consumer", func() { s.queue(t, "unconsumed", 1001) }, of(f.scrape(t, p), "DdltailQueueNotConsumed")...)
}
