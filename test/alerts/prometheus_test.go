package alerts

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"
	"github.com/ddltail/ddltail/test/mongotest/procgroup"
)

// prometheus is a running Prometheus whose targets can change.
type prometheus struct {
	dir, url string
	mu       sync.Mutex
	targets  []string
}

// startPrometheus runs deploy/replicaset/prometheus.yml with other targets and intervals, and with these rules.
func startPrometheus(t *testing.T, rules string) *prometheus {
	t.Helper()
	program := script(t, "prometheus.sh", "prometheus")
	group, err := procgroup.New("prometheus")
	ok(t, err)
	t.Cleanup(func() { ok(t, group.Close()) })
	port, err := mongotest.ReservePort()
	ok(t, err)
	t.Cleanup(func() { ok(t, port.Release()) })
	p := &prometheus{dir: group.Dir(), url: fmt.Sprintf("http://127.0.0.1:%d", port.Number)}
	config := strings.NewReplacer("15s", "1s", `static_configs:
      - targets: ["ddltail:9797", "listen:9798"]`, `file_sd_configs:
      - {files: [targets.json], refresh_interval: 1s}`).Replace(read(t, filepath.Join(deploy, "prometheus.yml")))
	if !strings.Contains(config, "targets.json") {
		t.Fatal("prometheus.yml has other targets")
	}
	ok(t, os.WriteFile(filepath.Join(p.dir, "prometheus.yml"), []byte(config), 0o600))
	ok(t, os.WriteFile(filepath.Join(p.dir, "prometheus-alerts.yml"), []byte(rules), 0o600))
	p.write(t)
	log, err := os.Create(filepath.Join(p.dir, "log"))
	ok(t, err)
	defer log.Close()
	cmd := exec.Command(program, "--config.file="+filepath.Join(p.dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(p.dir, "data"),
		"--web.listen-address="+strings.TrimPrefix(p.url, "http://"))
	cmd.Stdout, cmd.Stderr = log, log
	_, err = group.Start(cmd)
	ok(t, err)
	eventually(t, time.Minute, "Prometheus to be ready", func() bool {
		response, err := get(t.Context(), p.url+"/-/ready")
		if err != nil {
			return false
		}
		return response.Body.Close() == nil && response.StatusCode == http.StatusOK
	})
	return p
}

func get(ctx context.Context, address string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	return http.DefaultClient.Do(request)
}

func (p *prometheus) write(t *testing.T) {
	t.Helper()
	text, err := json.Marshal([]map[string][]string{{"targets": append([]string{}, p.targets...)}})
	ok(t, err)
	ok(t, os.WriteFile(filepath.Join(p.dir, "targets.new"), text, 0o600))
	ok(t, os.Rename(filepath.Join(p.dir, "targets.new"), filepath.Join(p.dir, "targets.json")))
}

// scrape adds a process to the targets, waits until it has been scraped, and returns its name there.
func (p *prometheus) scrape(t *testing.T, process *ddltailtest.Process) string {
	t.Helper()
	instance := strings.TrimPrefix(process.URL(), "http://")
	p.mu.Lock()
	p.targets = append(p.targets, instance)
	p.write(t)
	p.mu.Unlock()
	eventually(t, time.Minute, "a scrape of "+instance, func() bool {
		return len(p.query(t, `up{instance="`+instance+`"} == 1`)) == 1
	})
	return instance
}

// forget removes a target.
func (p *prometheus) forget(t *testing.T, instance string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.targets = slices.DeleteFunc(p.targets, func(target string) bool { return target == instance })
	p.write(t)
}

// query returns the labels of each series of an instant query.
func (p *prometheus) query(t *testing.T, expression string) []map[string]string {
	t.Helper()
	var answer struct {
		Result []struct{ Metric map[string]string }
	}
	p.api(t, "query?"+url.Values{"query": {expression}}.Encode(), &answer)
	var series []map[string]string
	for _, r := range answer.Result {
		series = append(series, r.Metric)
	}
	return series
}

func (p *prometheus) api(t *testing.T, path string, data any) {
	t.Helper()
	response, err := get(t.Context(), p.url+"/api/v1/"+path)
	ok(t, err)
	defer response.Body.Close()
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	ok(t, json.NewDecoder(response.Body).Decode(&answer))
	if answer.Status != "success" {
		t.Fatalf("%s: %s", path, answer.Error)
	}
	ok(t, json.Unmarshal(answer.Data, data))
}
