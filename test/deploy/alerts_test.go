package deploytest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/fetch"
)

// TestAlerts tests the rules with promtool.
func TestAlerts(t *testing.T) {
	t.Parallel()
	promtool, err := fetch.Path(bounded(t), "prometheus.sh", "promtool")
	if err != nil {
		t.Skipf("no promtool: %v", err)
	}
	for _, args := range [][]string{
		{"check", "rules", filepath.Join(deploy, "prometheus-alerts.yml")},
		{"check", "config", filepath.Join(deploy, "prometheus.yml")},
		{"test", "rules", filepath.Join(deploy, "prometheus-alerts_test.yml")},
	} {
		if out, code := (program{args: append([]string{promtool}, args...)}).run(t); code != 0 || !strings.Contains(out, "SUCCESS") {
			t.Errorf("promtool %q: exit %d: %s", args, code, out)
		}
	}
}

// TestAlertsKnowTheMetrics compares the names in the rules with those that `ddltail run` and `ddltail listen` serve.
func TestAlertsKnowTheMetrics(t *testing.T) {
	t.Parallel()
	declared := filepath.Join(t.TempDir(), "schema.json")
	ok(t, os.WriteFile(declared, []byte("[]"), 0o600))
	p := startReady(t, "DDLTAIL_MONGODB_URI="+secured.URI(), "DDLTAIL_DATABASE=alerts", "DDLTAIL_DECLARED="+declared,
		"DDLTAIL_SINKS=mongodb,stdout?required=false")
	_, metrics, err := p.Get(t.Context(), "/metrics")
	ok(t, err)
	// The metric is absent until the oplog has been observed and a checkpoint stored.
	for end := time.Now().Add(time.Minute); !strings.Contains(metrics, "\nddltail_oplog_headroom_seconds ") && time.Now().Before(end); {
		time.Sleep(100 * time.Millisecond)
		_, metrics, err = p.Get(t.Context(), "/metrics")
		ok(t, err)
	}
	listen, err := ddltailtest.Start(ddltail(t), []string{"listen"}, "DDLTAIL_MONGODB_URI="+secured.URI(),
		"DDLTAIL_DATABASE=alerts", "DDLTAIL_BACKEND_URL=http://localhost:1")
	ok(t, err)
	t.Cleanup(func() { ok(t, listen.Close()) })
	ok(t, listen.WaitReady(bounded(t)))
	_, more, err := listen.Get(t.Context(), "/metrics")
	ok(t, err)
	for _, want := range []string{
		`ddltail_info{component="run",database="alerts",name="default",replica_set="rs0",source="rs0"} 1`, "ddltail_ready 1", "ddltail_privileges_missing 0",
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("run does not serve %s", want)
		}
	}
	// The URIs of this test name no certificate.
	metrics += more + "\nddltail_certificate_expiry_timestamp_seconds{use=\"mongodb_client\"} 1\n"
	text := read(t, filepath.Join(deploy, "prometheus-alerts.yml")) + read(t, dashboard)
	names := regexp.MustCompile(`\bddltail_\w+`).FindAllString(text, -1)
	if len(names) == 0 {
		t.Error("rules and dashboard name no metric")
	}
	for _, name := range names {
		if !regexp.MustCompile(`(?m)^` + name + `[{ ]`).MatchString(metrics) {
			t.Errorf("no metric %s is served", name)
		}
	}
}

const dashboard = "../../deploy/grafana/ddltail.json"

// TestRunbook checks that each alert links to a section of the runbook, and that each section
// belongs to an alert.
func TestRunbook(t *testing.T) {
	t.Parallel()
	rules := read(t, filepath.Join(deploy, "prometheus-alerts.yml"))
	runbook := read(t, "../../docs/runbook.md")
	var alerts, sections []string
	for _, m := range regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(rules, -1) {
		alerts = append(alerts, m[1])
		if link := "docs/runbook.md#" + strings.ToLower(m[1]) + "\n"; !strings.Contains(rules, link) {
			t.Errorf("%s has no runbook_url that ends with %q", m[1], link)
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^### (\w+)$`).FindAllStringSubmatch(runbook, -1) {
		sections = append(sections, m[1])
	}
	slices.Sort(alerts)
	slices.Sort(sections)
	if len(alerts) == 0 || !slices.Equal(alerts, sections) {
		t.Errorf("alerts %q\nsections of the runbook %q", alerts, sections)
	}
}
