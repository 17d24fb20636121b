package alerts

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// fleet is the set of processes that Prometheus scrapes, and the alerts that fired.
type fleet struct {
	*prometheus
	mu   sync.Mutex
	seen []firing
}

// firing is an alert that fired.
type firing struct {
	alert, cause string
	after        time.Duration
}

// TestAlerts triggers every alert once. The scenarios share one Prometheus and run in parallel; no alert fires for a ddltail
// without a fault.
func TestAlerts(t *testing.T) {
	if *factor == 0 {
		t.Skip("takes minutes: make alerts")
	}
	text := read(t, filepath.Join(deploy, "prometheus-alerts.yml"))
	text = shorten(text, *factor)
	f := &fleet{prometheus: startPrometheus(t, text)}
	s := newServers(t)
	// With the shortened times of the rules, a checkpoint that is 20 s old, as on a quiet set,
	// would fire.
	keepChanging(t, s.client.Database("pulse"), time.Second)
	healthy := f.scrape(t, start(t, []string{"run"}, s.variables("healthy")...))
	t.Run("scenarios", func(t *testing.T) {
		for name, scenario := range map[string]func(*testing.T, *fleet, *servers){
			"absent": absent, "killed": killed, "removed": removed, "set killed": setDown, "sink unavailable": sinkUnavailable, "best effort": bestEffort,
			"unknown entries": unknownEntries, "history lost": historyLost, "invalid view": invalidView, "privileges": fewPrivileges,
			"drift": drifting, "certificate": expiring, "misconfigured": misconfigured, "rejected": rejected, "late": late, "no consumer": noConsumer,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				scenario(t, f, s)
			})
		}
	})
	if fired := f.query(t, `max_over_time(ALERTS{alertstate="firing",instance="`+healthy+`"}[1d])`); len(fired) > 0 {
		t.Errorf("alerts for the ddltail without a fault: %v", fired)
	}
	f.report(t, text)
}

// report prints the alerts that fired, and fails for those that did not.
func (f *fleet) report(t *testing.T, text string) {
	t.Helper()
	var table strings.Builder
	fmt.Fprintf(&table, "times of the rules divided by %d\n\n| alert | cause | seconds until it fired |\n| --- | --- | --- |\n", *factor)
	slices.SortStableFunc(f.seen, func(a, b firing) int { return strings.Compare(a.alert, b.alert) })
	for _, s := range f.seen {
		fmt.Fprintf(&table, "| `%s` | %s | %.0f |\n", s.alert, s.cause, s.after.Seconds())
	}
	t.Log(table.String())
	for _, m := range regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(text, -1) {
		if !slices.ContainsFunc(f.seen, func(s firing) bool { return s.alert == m[1] }) {
			t.Errorf("%s was not triggered", m[1])
		}
	}
}

// expected is an alert that a cause must trigger, with its labels in PromQL.
type expected struct{ alert, labels string }

// of returns the alerts of one target.
func of(instance string, names ...string) []expected {
	var all []expected
	for _, name := range names {
		all = append(all, expected{name, `instance="` + instance + `"`})
	}
	return all
}

// trigger runs do and waits for the alerts, none of which may fire before.
func (f *fleet) trigger(t *testing.T, cause string, do func(), alerts ...expected) {
	t.Helper()
	for _, a := range alerts {
		eventually(t, time.Minute, a.alert+" does not fire before "+cause, func() bool { return !f.fires(t, a) })
	}
	do()
	f.await(t, cause, alerts...)
}

// await waits for the alerts of a cause that has just begun.
func (f *fleet) await(t *testing.T, cause string, alerts ...expected) {
	t.Helper()
	began := time.Now()
	waiting := slices.Clone(alerts)
	limit := 2*time.Hour/time.Duration(*factor) + 2*time.Minute
	t.Cleanup(func() {
		if len(waiting) > 0 {
			t.Errorf("%s: %v did not fire within %s", cause, waiting, limit)
		}
	})
	eventually(t, limit, cause, func() bool {
		waiting = slices.DeleteFunc(waiting, func(a expected) bool {
			if !f.fires(t, a) {
				return false
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			f.seen = append(f.seen, firing{a.alert, cause, time.Since(began)})
			t.Logf("%s after %s", a.alert, time.Since(began).Round(time.Second))
			return true
		})
		return len(waiting) == 0
	})
}

func (f *fleet) fires(t *testing.T, a expected) bool {
	t.Helper()
	return len(f.query(t, fmt.Sprintf(`ALERTS{alertname=%q,alertstate="firing",%s}`, a.alert, a.labels))) > 0
}

// absent uses its own Prometheus, because the shared one always scrapes a ddltail.
func absent(t *testing.T, f *fleet, s *servers) {
	alone := &fleet{prometheus: startPrometheus(t, shorten(read(t, filepath.Join(deploy, "prometheus-alerts.yml")), *factor))}
	p := start(t, []string{"run"}, s.variables("alone")...)
	alone.scrape(t, p)
	alone.trigger(t, "the only ddltail is killed", func() { ok(t, p.Kill()) }, expected{"DdltailAbsent", ""})
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = append(f.seen, alone.seen...)
}

func killed(t *testing.T, f *fleet, s *servers) {
	p := start(t, []string{"run"}, s.variables("killed")...)
	f.trigger(t, "run is killed", func() { ok(t, p.Kill()) }, of(f.scrape(t, p), "DdltailDown")...)
}

func removed(t *testing.T, f *fleet, s *servers) {
	p := start(t, []string{"listen", "--stdout"}, s.variables("removed")...)
	instance := f.scrape(t, p)
	f.trigger(t, "listen is stopped and its target removed, while others are up", func() {
		_, err := p.Stop(t.Context())
		ok(t, err)
		f.forget(t, instance)
	}, expected{"DdltailGone", `component="listen",database="removed"`})
}

func setDown(t *testing.T, f *fleet, s *servers) {
	set := s.small(t)
	p := start(t, []string{"run"}, "DDLTAIL_MONGODB_URI="+set.URI(), "DDLTAIL_DATABASE=down")
	f.trigger(t, "the set's only member is killed", func() { ok(t, set.Members()[0].Kill()) }, of(f.scrape(t, p), "DdltailNotTailing")...)
}

// sinkUnavailable moves the file's folder away, so that the sink cannot reopen the file.
func sinkUnavailable(t *testing.T, f *fleet, s *servers) {
	folder := filepath.Join(t.TempDir(), "changes")
	ok(t, os.Mkdir(folder, 0o700))
	p := start(t, []string{"run"}, s.variables("held", "DDLTAIL_SINKS=mongodb,file:"+filepath.Join(folder, "changes.ndjson"))...)
	instance := f.scrape(t, p)
	f.trigger(t, "the folder of the sink file is moved away", func() {
		ok(t, os.Rename(folder, folder+".away"))
		s.create(t, "held_up", "payments", 0)
	}, of(instance, "DdltailSinkErrors", "DdltailNotReady", "DdltailBehind", "DdltailHeadroomLow", "DdltailPositionAboutToBeLost")...)
}

func bestEffort(t *testing.T, f *fleet, s *servers) {
	folder := filepath.Join(t.TempDir(), "changes")
	ok(t, os.Mkdir(folder, 0o700))
	file := "file:" + filepath.Join(folder, "changes.ndjson")
	p := start(t, []string{"run"}, s.variables("besteffort", "DDLTAIL_SINKS=mongodb,"+file+"?required=false", "DDLTAIL_NAMESPACES=large.*")...)
	f.trigger(t, "the folder of a sink with required=false is moved away, then changes of 24 MB", func() {
		ok(t, os.Rename(folder, folder+".away"))
		for i := range 12 {
			s.create(t, "large", fmt.Sprintf("payments_%d", i), 1<<20)
		}
	}, of(f.scrape(t, p), "DdltailSinkDropped")...)
}
