package main

import (
	"context"
	"io"
	"net"
	"sync/atomic"
)

// proxy forwards connections to a server and counts the bytes in both directions.
type proxy struct {
	net.Listener
	bytes atomic.Int64
}

func newProxy(ctx context.Context, server string) (*proxy, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{Listener: l}
	go p.serve(ctx, server)
	return p, nil
}

// uri returns the connection string through the proxy. The connection is direct, so that
// the driver does not discover the server's own address.
func (p *proxy) uri() string { return "mongodb://" + p.Addr().String() + "/?directConnection=true" }

func (p *proxy) serve(ctx context.Context, server string) {
	for {
		client, err := p.Accept()
		if err != nil {
			return
		}
		upstream, err := new(net.Dialer).DialContext(ctx, "tcp", server)
		if err != nil {
			client.Close()
			continue
		}
		go p.pass(upstream, client)
		go p.pass(client, upstream)
	}
}

// pass copies one direction until it ends, then closes the other connection.
func (p *proxy) pass(to, from net.Conn) {
	_, _ = io.Copy(to, counted{from, &p.bytes}) // an error ends the connection like EOF
	to.Close()
}

type counted struct {
	io.Reader
	n *atomic.Int64
}

func (c counted) Read(data []byte) (int, error) {
	n, err := c.Reader.Read(data)
	c.n.Add(int64(n))
	return n, err
}
