package deploytest

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestAlerts has Prometheus' own tool test the rules.
func TestAlerts(t *testing.T) {
	t.Parallel()
	found, err := exec.CommandContext(bounded(t), filepath.Join(root, "scripts", "promtool.sh")).Output()
	if err != nil {
		t.Skipf("no promtool: %v", err)
	}
	lines := strings.Split(strings.TrimSpace(string(found)), "\n")
	promtool := lines[len(lines)-1]
	for _, args := range [][]string{
		{"check", "rules", filepath.Join(deploy, "prometheus-alerts.yml")},
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
	p := startReady(t, "DDLTAIL_MONGODB_URI="+secured.URI(), "DDLTAIL_DATABASE=alerts")
	_, metrics, err := p.Get(t.Context(), "/metrics")
	ok(t, err)
	l := startCommand(t, []string{"listen", "--stdout"}, "DDLTAIL_MONGODB_URI="+secured.URI(), "DDLTAIL_DATABASE=alerts")
	ok(t, l.WaitReady(bounded(t)))
	_, more, err := l.Get(t.Context(), "/metrics")
	ok(t, err)
	for _, want := range []string{
		`ddltail_info{component="run",database="alerts",name="default",replica_set="rs0",source="rs0"} 1`, "ddltail_ready 1", "ddltail_privileges_missing 0",
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("run does not serve %s", want)
		}
	}
	metrics += more
	names := regexp.MustCompile(`\bddltail_\w+`).FindAllString(read(t, filepath.Join(deploy, "prometheus-alerts.yml")), -1)
	if len(names) == 0 {
		t.Error("the rules name no metric")
	}
	for _, name := range names {
		if !regexp.MustCompile(`(?m)^` + name + `[{ ]`).MatchString(metrics) {
			t.Errorf("no metric %s is served", name)
		}
	}
}
