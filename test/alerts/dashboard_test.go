package alerts

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/test/mongotest"
)

// TestDashboard checks that a real Prometheus that scrapes `run` and `listen` returns series for each query of the dashboard,
// and can evaluate each rule.
func TestDashboard(t *testing.T) {
	t.Parallel()
	p := startPrometheus(t, read(t, filepath.Join(deploy, "prometheus-alerts.yml")))
	set := mongotest.NewReplicaSet(t, mongotest.Options{})
	client := mongotest.Connect(t, set.URI())
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	t.Cleanup(backend.Close)
	uri := "DDLTAIL_MONGODB_URI=" + set.URI()
	p.scrape(t, start(t, []string{"run"}, uri))
	p.scrape(t, start(t, []string{"listen"}, uri, "DDLTAIL_BACKEND_URL="+backend.URL))

	// Changes continue until every metric has changed: rates need two scrapes.
	keepChanging(t, client.Database("shop"), 200*time.Millisecond)
	for _, q := range queries(t) {
		expression := strings.NewReplacer("$job", ".*", "$instance", ".*", "$__rate_interval", "10s").Replace(q.Expr)
		eventually(t, time.Minute, q.Title+": "+q.Expr, func() bool { return len(p.query(t, expression)) > 0 })
	}
	eventually(t, time.Minute, "all rules are evaluated", func() bool { return p.evaluated(t) == rules(t) })
}

// TestDashboardIsBuilt builds the dashboard with the types of grafana-foundation-sdk, as `make dashboard` does: the file has no
// change made by hand.
func TestDashboardIsBuilt(t *testing.T) {
	t.Parallel()
	built, err := exec.CommandContext(t.Context(), "go", "run", "-C", "../../tools/dashboard", ".").Output()
	ok(t, err)
	if string(built) != read(t, filepath.Join(deploy, "..", "grafana", "ddltail.json")) {
		t.Error("deploy/grafana/ddltail.json differs from tools/dashboard: make dashboard")
	}
}

// keepChanging creates and drops a collection in each interval until the test ends.
func keepChanging(t *testing.T, db *mongo.Database, every time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- change(ctx, db, every) }()
	t.Cleanup(func() { cancel(); ok(t, <-ended) })
}

func change(ctx context.Context, db *mongo.Database, every time.Duration) error {
	for i := 0; ctx.Err() == nil; i++ {
		name := fmt.Sprintf("payments_%d", i)
		if err := db.CreateCollection(ctx, name); err != nil && ctx.Err() == nil {
			return err
		}
		if err := db.RunCommand(ctx, bson.D{{Key: "drop", Value: name}}).Err(); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(every):
		}
	}
	return nil
}

// query is a query of the dashboard, with the title of its panel.
type query struct{ Title, Expr string }

func queries(t *testing.T) []query {
	t.Helper()
	type panel struct {
		Title   string
		Targets []query
	}
	var dashboard struct {
		Panels []struct {
			panel
			Panels []panel
		}
	}
	ok(t, json.Unmarshal([]byte(read(t, root+"/deploy/grafana/ddltail.json")), &dashboard))
	var all []query
	for _, row := range dashboard.Panels {
		for _, p := range append(row.Panels, row.panel) {
			for _, target := range p.Targets {
				all = append(all, query{p.Title, target.Expr})
			}
		}
	}
	if len(all) == 0 {
		t.Fatal("the dashboard has no query")
	}
	return all
}

// rules returns the number of rules.
func rules(t *testing.T) int {
	t.Helper()
	text := read(t, filepath.Join(deploy, "prometheus-alerts.yml"))
	return strings.Count(text, "- alert: ") + strings.Count(text, "- record: ")
}

// evaluated returns the number of rules that were evaluated without an error.
func (p *prometheus) evaluated(t *testing.T) int {
	t.Helper()
	var answer struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	p.api(t, "rules", &answer)
	n := 0
	for _, group := range answer.Groups {
		for _, rule := range group.Rules {
			if rule.LastError != "" {
				t.Errorf("%s: %s", rule.Name, rule.LastError)
			}
			if rule.Health == "ok" {
				n++
			}
		}
	}
	return n
}
