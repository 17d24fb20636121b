package web_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ddltail/ddltail/internal/web"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// password is what the hash below was made of.
const (
	password = "fakepassword"
	hash     = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"
)

func yes() error { return nil }

// serve runs a server until the test ends, and gives its address.
func serve(t *testing.T, probes web.Probes, configFile string) string {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "ddltail_one", Help: "One."}))
	page := web.Page{Title: "ddltail <run>", Rows: func() []web.Row { return []web.Row{{Name: "member", Value: "<b>a</b>"}} }}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- web.Serve(ctx, l, web.Handler(registry, probes, page), configFile, zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel)))
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(5 * time.Second):
			t.Error("it still serves 5 s after its end")
		}
	})
	return l.Addr().String()
}

// get asks once, on a connection of its own.
func get(t *testing.T, url, password string) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the test's own certificate
	}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if password != "" {
		req.SetBasicAuth("ann", password)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

var paths = []string{"/", "/metrics", "/healthz", "/readyz"}

func TestPaths(t *testing.T) {
	no := func() error { return errors.Join(errors.New("one"), errors.New("two")) }
	url := "http://" + serve(t, web.Probes{Alive: yes, Ready: no}, "")
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		"/":        {200, `<th scope="row">member</th><td>&lt;b&gt;a&lt;/b&gt;</td>`},
		"/metrics": {200, "ddltail_one 0\n"},
		"/healthz": {200, "ok\n"},
		"/readyz":  {503, "one; two\n"},
		"/other":   {404, "404 page not found\n"},
	} {
		status, body := get(t, url+path, "")
		if status != want.status || !strings.Contains(body, want.text) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	_, page := get(t, url+"/", "")
	for _, path := range paths[1:] {
		if !strings.Contains(page, `<a href="`+path+`">`) {
			t.Errorf("the page has no link to %s", path)
		}
	}
}

// webConfig writes a configuration with TLS and basic auth.
func webConfig(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	certify(t, dir)
	config := filepath.Join(dir, "web.yml")
	text := "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\nbasic_auth_users: {ann: " + hash + "}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config
}

// TestWebConfig asks with and without the password, over TLS.
func TestWebConfig(t *testing.T) {
	config := webConfig(t)
	addr := serve(t, web.Probes{Alive: yes, Ready: yes}, config)
	for _, path := range paths {
		if status, body := get(t, "https://"+addr+path, ""); status != http.StatusUnauthorized || strings.Contains(body, "member") {
			t.Errorf("%s without a password: %d %s", path, status, body)
		}
		if status, _ := get(t, "https://"+addr+path, "not "+password); status != http.StatusUnauthorized {
			t.Errorf("%s with another password: %d", path, status)
		}
		if status, body := get(t, "https://"+addr+path, password); status != http.StatusOK {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, body := get(t, "http://"+addr+"/", password); status != http.StatusBadRequest || strings.Contains(body, "member") {
		t.Errorf("without TLS: %d %s", status, body)
	}
}

// certify writes a certificate that signs itself.
func certify(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: cert}, "key.pem": {Type: "PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestHandshake: a client that fails the handshake is no warning.
func TestHandshake(t *testing.T) {
	core, logged := observer.New(zap.InfoLevel)
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- web.Serve(ctx, l, http.NotFoundHandler(), webConfig(t), zap.New(core))
	}()
	get(t, "http://"+l.Addr().String()+"/", "")
	found := func() []observer.LoggedEntry { return logged.FilterMessage("TLS handshake failed").All() }
	for end := time.Now().Add(5 * time.Second); len(found()) == 0 && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
	}
	if entries := found(); len(entries) == 0 || entries[0].Level != zap.InfoLevel {
		t.Errorf("logged %v", logged.All())
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestProbes: they need neither TLS nor a password, and say nothing but what they are asked.
func TestProbes(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- web.ServeProbes(ctx, l, web.Probes{Alive: yes, Ready: func() error { return errors.New("a secret reason") }}, zaptest.NewLogger(t))
	}()
	for path, want := range map[string]string{"/healthz": "200 ok\n", "/readyz": "503 not ready\n", "/metrics": "404 404 page not found\n", "/": "404 404 page not found\n"} {
		status, text := get(t, "http://"+l.Addr().String()+path, "")
		if got := fmt.Sprintf("%d %s", status, text); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
