package bench

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
)

// proxy forwards connections to a server and counts the bytes that the server sends.
type proxy struct {
	listener net.Listener
	received atomic.Int64
}

func newProxy(b *testing.B, server string) *proxy {
	l, err := new(net.ListenConfig).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	p := &proxy{listener: l}
	b.Cleanup(func() { l.Close() })
	go p.serve(context.WithoutCancel(b.Context()), server)
	return p
}

// uri returns a connection string of the proxy. With directConnection the driver does not
// discover the server's own address.
func (p *proxy) uri(database string) string {
	return "mongodb://" + p.listener.Addr().String() + "/" + database + "?directConnection=true"
}

func (p *proxy) serve(ctx context.Context, server string) {
	for {
		client, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		upstream, err := new(net.Dialer).DialContext(ctx, "tcp", server)
		if err != nil {
			client.Close()
			continue
		}
		go func() {
			_, _ = io.Copy(upstream, client) // EOF closes the connection
			upstream.Close()
		}()
		go func() {
			_, _ = io.Copy(client, countingReader{upstream, &p.received})
			client.Close()
		}()
	}
}

type countingReader struct {
	io.Reader
	n *atomic.Int64
}

func (r countingReader) Read(data []byte) (int, error) {
	n, err := r.Reader.Read(data)
	r.n.Add(int64(n))
	return n, err
}
