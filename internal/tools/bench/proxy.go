package main

import (
	"context"
	"io"
	"net"
	"sync/atomic"
)

// proxy is between a client and a server and counts the bytes of both.
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

// uri is the connection string of the server through the proxy, and never past it.
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

// pass copies one direction until it ends, and then ends the other.
func (p *proxy) pass(to, from net.Conn) {
	_, _ = io.Copy(to, counted{from, &p.bytes}) // its end is the end of the connection
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
