// Package web serves metrics, health and a status page.
package web

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"io"
	stdlog "log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	toolkit "github.com/prometheus/exporter-toolkit/web"
	"go.uber.org/zap"
)

const (
	readTimeout     = 10 * time.Second
	shutdownTimeout = 2 * time.Second
)

// Probes are the checks of a scheduler. Nil means success.
type Probes struct {
	// Alive returns an error if the process makes no progress, so that it is restarted.
	Alive func() error
	// Ready returns an error while changes are not delivered.
	Ready func() error
}

// Row is one line of the page.
type Row struct{ Name, Value string }

// Page is the page at /. Rows is called for each request; it must not return namespaces or
// statements, since the page can be read without a password.
type Page struct {
	Title string
	Rows  func() []Row
}

// Handler serves /, /metrics, /healthz and /readyz.
func Handler(reg *prometheus.Registry, probes Probes, page Page) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{Registry: reg}))
	mux.Handle("GET /healthz", probe(probes.Alive))
	mux.Handle("GET /readyz", probe(probes.Ready))
	mux.Handle("GET /{$}", page)
	return mux
}

func probe(ask func() error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		text := "ok"
		if err := ask(); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			text = strings.ReplaceAll(err.Error(), "\n", "; ")
		}
		// The client has disconnected: there is no one to report the error to.
		_, _ = io.WriteString(w, text+"\n")
	})
}

// ServeProbes serves only /healthz and /readyz on the listener until the context ends:
// plain HTTP without authentication, for probes that do not support them. /readyz does not show
// reasons, since anyone can read it.
func ServeProbes(ctx context.Context, l net.Listener, probes Probes, log *zap.Logger) error {
	mux := http.NewServeMux()
	mux.Handle("GET /healthz", probe(probes.Alive))
	mux.Handle("GET /readyz", probe(func() error {
		if probes.Ready() != nil {
			return errors.New("not ready")
		}
		return nil
	}))
	log.Info("serving probes", zap.Stringer("address", l.Addr()))
	return serve(ctx, l, mux, "", log)
}

const pageText = `<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{{.Title}}</title>
<style>body{font-family:sans-serif;margin:2em}td,th{text-align:left;padding:.2em 1.5em .2em 0}</style></head>
<body>
<h1>{{.Title}}</h1>
<table>{{range .Rows}}
<tr><th scope="row">{{.Name}}</th><td>{{.Value}}</td></tr>{{end}}
</table>
<p><a href="/metrics">metrics</a> · <a href="/healthz">health</a> · <a href="/readyz">readiness</a></p>
</body>
</html>
`

// ServeHTTP shows the page.
func (p Page) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	t, err := template.New("page").Parse(pageText)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	// The client has disconnected: there is no one to report the error to.
	_ = t.Execute(w, struct {
		Title string
		Rows  []Row
	}{p.Title, p.Rows()})
}

// Serve serves HTTP on the listener until the context ends. configFile, if any, configures TLS and
// basic auth in the exporter toolkit's format.
func Serve(ctx context.Context, l net.Listener, h http.Handler, configFile string, log *zap.Logger) error {
	log.Info("serving HTTP", zap.Stringer("address", l.Addr()), zap.Bool("web_config", configFile != ""))
	return serve(ctx, l, h, configFile, log)
}

// errorLog logs the errors of net/http.
type errorLog struct{ log *zap.Logger }

// Write logs one line. Failed handshakes are logged at level info, because load balancers and
// scanners cause them regularly.
func (e errorLog) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	if reason, ok := strings.CutPrefix(text, "http: TLS handshake error from "); ok {
		e.log.Info("TLS handshake failed", zap.String("from", reason))
	} else {
		e.log.Warn("HTTP server", zap.String("error", text))
	}
	return len(line), nil
}

func serve(ctx context.Context, l net.Listener, h http.Handler, configFile string, log *zap.Logger) error {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: readTimeout, ErrorLog: stdlog.New(errorLog{log}, "", 0)}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		stopped <- srv.Shutdown(bounded)
	})
	err := toolkit.Serve(l, srv, &toolkit.FlagConfig{WebConfigFile: &configFile}, slog.New(slog.DiscardHandler))
	if stop() {
		return fmt.Errorf("serve HTTP on %s: %w", l.Addr(), err)
	}
	if err := <-stopped; err != nil {
		return errors.Join(fmt.Errorf("stop serving HTTP: %w", err), srv.Close())
	}
	return nil
}
