package listen

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// backend is an HTTP server that records the requests it receives.
type backend struct {
	*httptest.Server
	t *testing.T

	mu       sync.Mutex
	requests []request
	// answer returns the reply to a request, under the lock; nil accepts all. The reply's
	// wait is without the lock.
	answer func(request) reply
}

// request is one request with its reply.
type request struct {
	at     time.Time
	header http.Header
	raw    []byte
	reply  reply
	notification
}

// notification is a consumer's own definition of the body.
type notification struct {
	Operation  string  `json:"operation"`
	Collection string  `json:"collection"`
	Index      string  `json:"index_name"`
	Statement  string  `json:"operation_statement"`
	Timestamp  any     `json:"timestamp"`
	Processed  *bool   `json:"processed"`
	Database   string  `json:"database"`
	Source     string  `json:"source"`
	Number     float64 `json:"number"`
}

// reply is a response of the backend. The zero value is 200.
type reply struct {
	status     int
	retryAfter string
	hang       time.Duration
	// close closes the connection without a response.
	close bool
}

// taken reports whether the sender has received a 2xx.
func (r reply) taken() bool {
	return !r.close && r.hang == 0 && (r.status == 0 || r.status/100 == 2)
}

func newBackend(t *testing.T) *backend {
	t.Helper()
	b := &backend{t: t}
	b.Server = httptest.NewServer(b)
	t.Cleanup(b.stop)
	return b
}

// stop ends the server and every connection to it.
func (b *backend) stop() {
	b.CloseClientConnections()
	b.Close()
}

// again restarts the server on the same address.
func (b *backend) again() {
	b.t.Helper()
	l, err := net.Listen("tcp", b.Listener.Addr().String())
	if err != nil {
		b.t.Fatal(err)
	}
	b.Server = &httptest.Server{Listener: l, Config: &http.Server{Handler: b}}
	b.Start()
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	got := request{at: time.Now(), header: r.Header, raw: body}
	if err := json.Unmarshal(body, &got.notification); err != nil {
		b.t.Errorf("the body is not JSON: %v\n%s", err, body)
	}
	b.mu.Lock()
	if b.answer != nil {
		got.reply = b.answer(got)
	}
	b.requests = append(b.requests, got)
	b.mu.Unlock()
	got.reply.give(w, r)
}

func (r reply) give(w http.ResponseWriter, req *http.Request) {
	if r.hang > 0 {
		select {
		case <-req.Context().Done():
		case <-time.After(r.hang):
		}
	}
	if r.close {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			conn.Close()
		}
		return
	}
	if r.retryAfter != "" {
		w.Header().Set("Retry-After", r.retryAfter)
	}
	if r.status != 0 {
		w.WriteHeader(r.status)
	}
}

func (b *backend) setAnswer(answer func(request) reply) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer = answer
}

// got returns the requests received so far.
func (b *backend) got() []request {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]request(nil), b.requests...)
}

// forget removes the recorded requests.
func (b *backend) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests = nil
}
