package receivers

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ddltail/ddltail/internal/delivery"
)

// folder writes files and returns their folder.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// loadAll loads a file that must be correct.
func loadAll(t *testing.T, text string, files map[string]string) []Receiver {
	t.Helper()
	all, err := read([]byte(text), folder(t, files), "ddltail/test")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestLoad(t *testing.T) {
	all := loadAll(t, `
receivers:
  - name: pager
    template: pagerduty
    routing_key_file: key
    filter: {risk: [destructive]}
    give_up_after: 6h
  - name: team
    template: slack
    url_file: slack
    filter:
      risk: [destructive, breaking]
      namespaces: ['banking_db.*', '!*.tmp_*']
    digest: 1m
    rate: 30/m
  - {name: hook, url: "http://localhost/", digest: 0, give_up_after: never, headers: {Authorization: {file: key}, x-team: db}}
  - {name: chat, url: "http://localhost/", template: teams}
  - {name: alerts, url: "http://localhost/", template: alertmanager, resolve_after: 10m, proxy: none}
  - {name: own, url: "http://localhost/", template: own.json}
`, map[string]string{"key": "R0UT1NG\n", "slack": "https://hooks.slack.com/services/T/B/X\n", "own.json": `{"text": "{{.Operation}}"}`})
	for i, want := range []Receiver{
		{Name: "pager", GiveUpAfter: 6 * time.Hour, Rate: Rate{120, time.Minute}},
		{Name: "team", Digest: time.Minute, Rate: Rate{30, time.Minute}, GiveUpAfter: 24 * time.Hour},
		{Name: "hook"},
		{Name: "chat", Digest: 30 * time.Second, Rate: Rate{1, time.Second}, GiveUpAfter: 24 * time.Hour},
		{Name: "alerts", GiveUpAfter: 24 * time.Hour},
		{Name: "own", GiveUpAfter: 24 * time.Hour},
	} {
		got := all[i]
		if got.Name != want.Name || got.Digest != want.Digest || got.Rate != want.Rate || got.GiveUpAfter != want.GiveUpAfter || got.backend == nil {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	if got := (Rate{30, time.Minute}).Interval(); got != 2*time.Second {
		t.Errorf("the interval is %s", got)
	}
}

// TestMistakes reads files with mistakes, and checks the line of each and that no message
// shows a secret.
func TestMistakes(t *testing.T) {
	const secret = "s3cr3t"
	files := map[string]string{
		"empty": "\n", "key": secret, "bad.json": `{"text": {{.Operation}}"}`, "unknown.json": `{"text": "{{.Nothing}}"}`,
		"twolines": "a\nb", "function.txt": `{{_ddltail_text .ID}}`,
	}
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"empty":         {"", []string{"line 1: receivers"}},
		"no list":       {"receivers: x", []string{"line 1"}},
		"unknown key":   {"receivers:\n- name: a\n  urll: https://hooks/" + secret, []string{`line 3: unknown key "urll"`}},
		"top key":       {"receiver:\n- name: a", []string{`line 1: unknown key "receiver"`}},
		"twice":         {"receivers:\n- name: a\n  url: http://h/\n  url: http://h/", []string{"line 4"}},
		"yaml":          {"receivers:\n- name: a\n url: x", []string{"line "}},
		"two documents": {"receivers:\n- {name: a, url: http://h/}\n---\nreceivers: []", []string{"one YAML document"}},
		"several": {"receivers:\n- name: a b\n  url: ftp://x:" + secret + "@h/\n  digest: soon\n  rate: 5\n  give_up_after: -1h\n- name: backend\n  url: http://h/\n",
			[]string{"line 2: name", "line 3: url: want http://", `line 4: digest: "soon"`, `line 5: rate: "5"`, `line 6: give_up_after`, "line 7: name"}},
		"same name":  {"receivers:\n- {name: a, url: http://h/}\n- {name: a, url: http://h/}", []string{`line 3: name: "a" occurs twice`}},
		"no url":     {"receivers:\n- name: a", []string{"line 2: url"}},
		"both urls":  {"receivers:\n- name: a\n  url: http://h/\n  url_file: key", []string{"line 4: url_file"}},
		"secret url": {"receivers:\n- name: a\n  url_file: key", []string{"line 2: url"}},
		"no file":    {"receivers:\n- name: a\n  url_file: /" + secret + "/none", []string{"line 3: url_file: want the path of a file that can be read"}},
		"empty file": {"receivers:\n- name: a\n  url_file: empty", []string{"line 3: url_file: the file is empty"}},
		"rules":      {"receivers:\n- name: a\n  url: http://h/\n  filter:\n    operations: [DROP_TABLE]\n", []string{`line 5: operations: "DROP_TABLE": want some of CREATE_COLLECTION`}},
		"risk":       {"receivers:\n- name: a\n  url: http://h/\n  filter:\n    risk:\n    - breaking\n    - high\n", []string{`line 7: risk: "high"`}},
		"rule":       {"receivers:\n- name: a\n  url: http://h/\n  filter: {database: x}", []string{`line 4: unknown key "database"`}},
		"headers": {"receivers:\n- name: a\n  url: http://h/\n  headers:\n    Host: x\n    a b: y\n    X: {file: twolines}\n    Y: {path: key}\n",
			[]string{"line 8: want a header's value, or {file: PATH}"}},
		"headers 2": {"receivers:\n- name: a\n  url: http://h/\n  headers:\n    Host: x\n    a b: y\n    X: {file: twolines}\n",
			[]string{"line 5: headers", "line 6: headers", "line 7: headers"}},
		"tls":           {"receivers:\n- name: a\n  url: https://h/\n  tls: {cert_file: key}", []string{"line 4: tls: want both"}},
		"ca":            {"receivers:\n- name: a\n  url: https://h/\n  tls: {ca_file: key}", []string{"line 4: ca_file: want certificates in PEM"}},
		"pair":          {"receivers:\n- name: a\n  url: https://h/\n  tls: {cert_file: key, key_file: key}", []string{"line 4: cert_file"}},
		"proxy":         {"receivers:\n- name: a\n  url: https://h/\n  proxy: x:" + secret, []string{"line 4: proxy: want none"}},
		"signature":     {"receivers:\n- name: a\n  url: https://h/\n  secret_file: key", []string{"line 4: secret_file: want whsec_"}},
		"template":      {"receivers:\n- name: a\n  url: https://h/\n  template: discord", []string{`line 4: template: "discord": want one of json, cloudevents`}},
		"no template":   {"receivers:\n- name: a\n  url: https://h/\n  template: none.json", []string{"line 4: template"}},
		"bad template":  {"receivers:\n- name: a\n  url: https://h/\n  template: bad.json", []string{"line 4: template: the template ends within a JSON string"}},
		"bad field":     {"receivers:\n- name: a\n  url: https://h/\n  template: unknown.json", []string{"line 4: template: render a sample"}},
		"bad function":  {"receivers:\n- name: a\n  url: https://h/\n  template: function.txt", []string{"line 4: template: parse"}},
		"routing key":   {"receivers:\n- name: a\n  template: pagerduty", []string{"line 3: routing_key_file"}},
		"misplaced key": {"receivers:\n- name: a\n  url: http://h/\n  routing_key_file: key\n  resolve_after: 1h", []string{"line 4: routing_key_file: only", "line 5: resolve_after: only"}},
		"a list":        {"receivers:\n- name: [a]\n  url: http://h/", []string{"line 2: want a single value"}},
	} {
		_, err := read([]byte(c.text), folder(t, files), "")
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q is not in\n%v", name, want, err)
			}
		}
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error shows a secret: %v", name, err)
		}
		if n := strings.Count(err.Error(), "\n") + 1; n != len(c.want) {
			t.Errorf("%s: %d messages, want %d:\n%v", name, n, len(c.want), err)
		}
	}
}

// TestRequest checks what a receiver sends.
func TestRequest(t *testing.T) {
	var got *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r }))
	defer server.Close()
	r := loadAll(t, "receivers:\n- name: a\n  url: "+server.URL+"/x?y=z\n  headers: {authorization: {file: key}, X-Team: 'db: a'}\n  template: own.txt",
		map[string]string{"key": "Bearer abc\n", "own.txt": "{{.Operation}}\n"})[0]
	defer r.Close()
	sample := Samples(time.Now())[0]
	if o := r.Send(t.Context(), []Notification{sample}); o.Verdict != delivery.Delivered {
		t.Fatalf("%+v", o)
	}
	if h := got.Header; h.Get("Authorization") != "Bearer abc" || h.Get("X-Team") != "db: a" || h.Get("webhook-id") != sample.ID ||
		h.Get("Content-Type") != "text/plain; charset=utf-8" || h.Get("User-Agent") != "ddltail/test" || got.URL.RequestURI() != "/x?y=z" {
		t.Errorf("got %s %v", got.URL, h)
	}
}

// TestCannotRender checks that a notification that cannot be rendered is rejected, and
// that no request is sent.
func TestCannotRender(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") }))
	defer server.Close()
	r := loadAll(t, "receivers:\n- {name: a, url: '"+server.URL+"', template: own.json}",
		map[string]string{"own.json": `{"after": {{if eq .Database "broken"}}}{{end}}1}`})[0]
	defer r.Close()
	o := r.Send(t.Context(), []Notification{{ID: "x", Document: raw(t, `{"_id": "x", "operation": "DROP_DATABASE", "database": "broken"}`)}})
	if o.Verdict != delivery.Rejected || !strings.Contains(o.Reason, "render") {
		t.Errorf("got %+v", o)
	}
}

// certificate is a self-signed certificate.
const certificate = `-----BEGIN CERTIFICATE-----
MIIBezCCASGgAwIBAgIUWXHOFxyu/CLAUGExOEG349sLwbAwCgYIKoZIzj0EAwIw
EjEQMA4GA1UEAwwHZXhhbXBsZTAgFw0yNjExMjUxOTQ0MTZaGA8yMTI2MTEwMTE5
NDQxNlowEjEQMA4GA1UEAwwHZXhhbXBsZTBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABJ0Y/a7F1j8rTUBovtOich7YPrQh0VUvHh/JU6+PRa422t1KzBVE06cmcD4n
kUJySF+cS577tImtVw8XdQ2H7b2jUzBRMB0GA1UdDgQWBBRbQ1TUqbhX0AI5z9dy
3VjTPooYTDAfBgNVHSMEGDAWgBRbQ1TUqbhX0AI5z9dy3VjTPooYTDAPBgNVHRMB
Af8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIGFN2mp9vbe6WLFrYLklH6S22ULU
uQVKHJxN0BEiHXtEAiEA/rjBC9+zYwJ/ikNIFYZfw/tqzXUHfc5F9B5rhjl1qAc=
-----END CERTIFICATE-----
`
