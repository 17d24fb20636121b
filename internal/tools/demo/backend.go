package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// backend is a minimal example of a team's service: it receives notifications by HTTP and passes
// them to the demo.
type backend struct {
	server   *http.Server
	url      string
	received chan delivered
}

// delivered has the fields of a notification that the backend reads.
type delivered struct {
	Operation  string `json:"operation"`
	Collection string `json:"collection"`
	Index      string `json:"index_name"`
	Statement  string `json:"operation_statement"`
	at         time.Time
}

func (n delivered) summary() string {
	return notification{Operation: n.Operation, Collection: n.Collection, Index: n.Index}.summary()
}

// maxBody is how much of a request is read.
const maxBody = 1 << 20

// startBackend serves on a free port. The caller must close it.
func startBackend(ctx context.Context) (*backend, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the backend: %w", err)
	}
	b := &backend{url: "http://" + l.Addr().String() + "/schema-changes", received: make(chan delivered, 1000)}
	mux := http.NewServeMux()
	mux.Handle("POST /schema-changes", b)
	b.server = &http.Server{Handler: mux, ReadHeaderTimeout: patience}
	go func() {
		if err := b.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			fmt.Println("the backend:", err)
		}
	}()
	return b, nil
}

func (b *backend) close() error { return b.server.Close() }

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := delivered{at: time.Now()}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil {
		err = json.Unmarshal(body, &n)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	select {
	case b.received <- n:
	case <-r.Context().Done():
	}
}

// next waits for a notification and returns it.
func (b *backend) next(ctx context.Context) (delivered, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case n := <-b.received:
		return n, nil
	case <-ctx.Done():
		return delivered{}, fmt.Errorf("nothing has reached the backend within %s: %w", patience, ctx.Err())
	}
}

// print prints what the backend receives until the context ends.
func (d demo) print(ctx context.Context, b *backend) {
	for {
		select {
		case n := <-b.received:
			d.say("  the backend got  %-17s  %q", n.Operation, n.Statement)
		case <-ctx.Done():
			return
		}
	}
}
