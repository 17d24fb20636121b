// Package receivers_test sends notifications to real targets.
package receivers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/delivery"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/receivers"
	"github.com/ddltail/ddltail/internal/terminal"
	"github.com/ddltail/ddltail/test/fetch"
	"github.com/ddltail/ddltail/test/hostile"
)

const patience = 30 * time.Second

// alertmanager is a running Alertmanager and the groups of alerts that it has sent on.
type alertmanager struct {
	*testing.T
	url string

	mu     sync.Mutex
	groups []group
}

// group is one request of Alertmanager to its own receiver.
type group struct {
	Status string
	Alerts []struct {
		Status              string
		Labels, Annotations map[string]string
	}
	GroupLabels map[string]string `json:"groupLabels"`
}

func startAlertmanager(t *testing.T) *alertmanager {
	t.Helper()
	if testing.Short() {
		t.Skip("needs an Alertmanager")
	}
	binary, err := fetch.Path(t.Context(), "alertmanager.sh")
	if err != nil {
		t.Skipf("no Alertmanager: %v", err)
	}
	a := &alertmanager{T: t}
	hook := httptest.NewServer(http.HandlerFunc(a.receive))
	t.Cleanup(hook.Close)
	dir := t.TempDir()
	config := filepath.Join(dir, "alertmanager.yml")
	a.must(os.WriteFile(config, []byte(`
route: {receiver: hook, group_by: [database, operation], group_wait: 1s, group_interval: 1s, repeat_interval: 1h}
receivers: [{name: hook, webhook_configs: [{url: '`+hook.URL+`', send_resolved: true}]}]
`), 0o600))
	address := freeAddress(t)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, binary, "--config.file="+config, "--storage.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+address, "--cluster.listen-address=")
	cmd.Dir = filepath.Dir(binary) // where Debian's reads its templates, see the script
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	a.must(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cancel()
		<-ended
		if t.Failed() {
			t.Logf("Alertmanager wrote\n%s", log.String())
		}
	})
	a.url = "http://" + address
	a.wait("Alertmanager is ready", func() bool {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("Alertmanager has ended: %v", err)
		default:
		}
		return a.status("/-/ready") == http.StatusOK
	})
	return a
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (a *alertmanager) must(err error) {
	a.Helper()
	if err != nil {
		a.Fatal(err)
	}
}

func (a *alertmanager) wait(what string, reached func() bool) {
	a.Helper()
	for end := time.Now().Add(patience); !reached(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			a.Fatalf("not within %s: %s; received\n%+v", patience, what, a.received())
		}
	}
}

func (a *alertmanager) status(path string) int {
	resp, err := http.Get(a.url + path)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

func (a *alertmanager) receive(_ http.ResponseWriter, r *http.Request) {
	var g group
	if err := json.NewDecoder(r.Body).Decode(&g); err != nil {
		a.Error(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.groups = append(a.groups, g)
}

func (a *alertmanager) received() []group {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.groups)
}

// listed is an alert as returned by Alertmanager's API.
type listed struct {
	Labels map[string]string
	Status struct{ State string }
}

func (a *alertmanager) alerts() []listed {
	a.Helper()
	resp, err := http.Get(a.url + "/api/v2/alerts")
	a.must(err)
	defer resp.Body.Close()
	var all []listed
	a.must(json.NewDecoder(resp.Body).Decode(&all))
	return all
}

// receiver returns a receiver of a file with this configuration of Alertmanager.
func (a *alertmanager) receiver(more string) receivers.Receiver {
	a.Helper()
	path := filepath.Join(a.TempDir(), "receivers.yaml")
	a.must(os.WriteFile(path, []byte("receivers:\n- {name: alerts, template: alertmanager, url: '"+a.url+"/api/v2/alerts'"+more+"}\n"), 0o600))
	all, err := receivers.Load(path, "ddltail/test")
	a.must(err)
	a.Cleanup(all[0].Close)
	return all[0]
}

func (a *alertmanager) send(r receivers.Receiver, all ...receivers.Notification) {
	a.Helper()
	for _, n := range all {
		if o := r.Send(a.Context(), []receivers.Notification{n}); o.Verdict != delivery.Delivered {
			a.Fatalf("%s: %+v", n.ID, o)
		}
	}
}

var ordinal int

func dropped(t *testing.T, database, collection string) receivers.Notification {
	t.Helper()
	ordinal++
	id := fmt.Sprintf("rs0:%010d:%010d:000000", time.Now().Unix(), ordinal)
	doc, err := bson.Marshal(bson.D{
		{Key: "_id", Value: id}, {Key: "operation", Value: "DROP_COLLECTION"}, {Key: "collection", Value: collection},
		{Key: "operation_statement", Value: "DROP COLLECTION " + collection}, {Key: "timestamp", Value: float64(time.Now().UnixMilli()) / 1000},
		{Key: "database", Value: database}, {Key: "ns", Value: database + "." + collection}, {Key: "risk", Value: "destructive"},
		{Key: "replica_set", Value: "rs0"}, {Key: "source", Value: "oplog"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return receivers.Notification{ID: id, Document: doc}
}

// TestAlertmanager checks with a real Alertmanager that alerts are received, grouped,
// silenced and resolved.
func TestAlertmanager(t *testing.T) {
	t.Parallel()
	a := startAlertmanager(t)
	r := a.receiver("")
	a.silence("namespace", "shop.noise")
	a.send(r, dropped(t, "shop", "a"), dropped(t, "shop", "a"), dropped(t, "bank", "b"), dropped(t, "shop", "noise"))

	a.wait("two groups, one with both drops of shop.a", func() bool {
		found := map[string]int{}
		for _, g := range a.received() {
			found[g.GroupLabels["database"]] = max(found[g.GroupLabels["database"]], len(g.Alerts))
		}
		return maps.Equal(found, map[string]int{"shop": 2, "bank": 1})
	})
	for _, g := range a.received() {
		for _, alert := range g.Alerts {
			if alert.Labels["namespace"] == "shop.noise" {
				t.Error("the silenced alert was sent on")
			}
			if alert.Labels["alertname"] != "SchemaChange" || alert.Labels["risk"] != "destructive" || alert.Annotations["summary"] == "" {
				t.Errorf("%+v", alert)
			}
		}
	}
	silenced := 0
	for _, alert := range a.alerts() {
		if alert.Status.State == "suppressed" {
			silenced++
		}
	}
	if silenced != 1 {
		t.Errorf("%d alerts are silenced, want 1", silenced)
	}

	// A retry of the same notification is the same alert.
	again := dropped(t, "retry", "x")
	a.send(r, again, again)
	a.wait("one alert of a retried notification", func() bool { return a.count("retry.x") == 1 })
}

func (a *alertmanager) count(namespace string) int {
	n := 0
	for _, alert := range a.alerts() {
		if alert.Labels["namespace"] == namespace {
			n++
		}
	}
	return n
}

func (a *alertmanager) silence(label, value string) {
	a.Helper()
	body := fmt.Sprintf(`{"matchers": [{"name": %q, "value": %q, "isRegex": false}], "startsAt": %q, "endsAt": %q, "createdBy": "test", "comment": "test"}`,
		label, value, time.Now().UTC().Format(time.RFC3339), time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	resp, err := http.Post(a.url+"/api/v2/silences", "application/json", strings.NewReader(body))
	a.must(err)
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		a.Fatalf("silence: %s %s", resp.Status, text)
	}
}

// TestAlertmanagerResolves checks that an alert ends by itself, and that a test is resolved
// at once.
func TestAlertmanagerResolves(t *testing.T) {
	t.Parallel()
	a := startAlertmanager(t)
	a.send(a.receiver(", resolve_after: 2s"), dropped(t, "shop", "short"))
	a.wait("the alert has ended by itself", func() bool { return a.resolved("shop.short") })

	sample, err := receivers.Sample(notification.DropCollection, time.Now())
	a.must(err)
	for _, e := range a.receiver("").Test(t.Context(), sample) {
		if e.Outcome.Verdict != delivery.Delivered {
			t.Errorf("%+v", e)
		}
	}
	if n := len(slices.DeleteFunc(a.alerts(), func(l listed) bool { return l.Labels["test"] != "true" })); n != 0 {
		t.Errorf("%d alerts of the test are open", n)
	}
}

func (a *alertmanager) resolved(namespace string) bool {
	for _, g := range a.received() {
		for _, alert := range g.Alerts {
			if alert.Labels["namespace"] == namespace && alert.Status == "resolved" {
				return true
			}
		}
	}
	return false
}

// TestAlertmanagerNames checks that every hostile name arrives as text, through
// Alertmanager's own templates too.
func TestAlertmanagerNames(t *testing.T) {
	t.Parallel()
	a := startAlertmanager(t)
	r := a.receiver("")
	for _, name := range hostile.Names() {
		a.send(r, dropped(t, "shop", name))
	}
	a.wait("all alerts are in one group", func() bool {
		groups := a.received()
		return len(groups) > 0 && len(groups[len(groups)-1].Alerts) == len(hostile.Names())
	})
	groups := a.received()
	for _, name := range hostile.Names() {
		want := "shop." + terminal.Escape(name)
		if !slices.ContainsFunc(groups[len(groups)-1].Alerts, func(alert struct {
			Status              string
			Labels, Annotations map[string]string
		}) bool {
			return alert.Labels["namespace"] == want && strings.Contains(alert.Annotations["summary"], want)
		}) {
			t.Errorf("no alert of %q", want)
		}
	}
}
