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

// backend is an HTTP server as teams have one: it notes what it is sent.
type backend struct {
	*httptest.Server
	t *testing.T

	mu       sync.Mutex
	requests []request
	// answer decides about a request, under the lock; nil takes all. Its wait, if
	// any, is waited for without the lock.
	answer func(request) reply
}

// request is one request, and how it was answered.
type request struct {
	at     time.Time
	header http.Header
	raw    []byte
	reply  reply
	notification
}

// notification is what a consumer reads, by its own definition.
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

// reply is how a backend behaves. The zero value is a plain 200.
type reply struct {
	status     int
	retryAfter string
	hang       time.Duration
	// close ends the connection instead of an answer.
	close bool
}

// taken reports whether the sender knows that the backend has it.
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

// again starts the server on the address it had.
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
		b.t.Errorf("the body is no JSON: %v\n%s", err, body)
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

// got returns the requests so far.
func (b *backend) got() []request {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]request(nil), b.requests...)
}

// forget empties the list.
func (b *backend) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests = nil
}
