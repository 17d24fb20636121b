// Package replicaset finds the members of the set to tail and chooses one.
package replicaset

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// probeTimeout bounds the query to one host.
const probeTimeout = 3 * time.Second

// minWireVersion is that of 4.4, the oldest server that the driver supports.
const minWireVersion = 9

// hello is the reply to the command hello, which needs no authentication.
type hello struct {
	Host           string   `bson:"-"`
	SetName        string   `bson:"setName"`
	Hosts          []string `bson:"hosts"`
	Passives       []string `bson:"passives"`
	Primary        string   `bson:"primary"`
	Me             string   `bson:"me"`
	Writable       bool     `bson:"isWritablePrimary"`
	LegacyWritable bool     `bson:"ismaster"`
	Secondary      bool     `bson:"secondary"`
	ArbiterOnly    bool     `bson:"arbiterOnly"`
	Hidden         bool     `bson:"hidden"`
	// Delay is how many seconds the member is delayed by configuration; 4.4 has another name for it.
	Delay          int64         `bson:"secondaryDelaySecs"`
	LegacyDelay    int64         `bson:"slaveDelay"`
	SetVersion     int64         `bson:"setVersion"`
	IsReplicaSet   bool          `bson:"isreplicaset"`
	Msg            string        `bson:"msg"`
	MaxWireVersion int32         `bson:"maxWireVersion"`
	Took           time.Duration `bson:"-"`
}

// Reasons why a host cannot be tailed.
var (
	// ErrStandalone: the server has no oplog.
	ErrStandalone = errors.New("a standalone server, not a replica set member")
	// ErrMongos: a router has no oplog.
	ErrMongos = errors.New("a mongos: run one ddltail per shard's replica set")
	// ErrTooOld: the driver does not support the server.
	ErrTooOld = errors.New("a server older than 4.4")
	// ErrNotInitiated: rs.initiate() has not been run yet.
	ErrNotInitiated = errors.New("started with --replSet, but the set is not initiated")
	// ErrOtherSet: the URI names another set.
	ErrOtherSet = errors.New("a member of another replica set")
)

// ask sends hello to one host, without authentication.
func ask(ctx context.Context, base *options.ClientOptions, host string) (hello, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	watch := &heartbeats{failed: cancel}
	opts := unauthenticated(base, host).SetServerMonitor(watch.monitor())
	client, err := mongo.Connect(opts)
	if err != nil {
		return hello{}, fmt.Errorf("connect to %s: %w", host, err)
	}
	defer disconnect(client)

	began := time.Now()
	var h hello
	err = client.Database("admin").RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&h)
	if err != nil {
		return hello{}, watch.explain(err, base.TLSConfig != nil)
	}
	h.Host, h.Took = host, time.Since(began)
	return h, h.reject()
}

// reject returns the reason why this server cannot be tailed, if there is one.
func (h hello) reject() error {
	switch {
	case h.Msg == "isdbgrid":
		return ErrMongos
	case h.MaxWireVersion < minWireVersion:
		return ErrTooOld
	case h.SetName == "" && h.IsReplicaSet:
		return ErrNotInitiated
	case h.SetName == "":
		return ErrStandalone
	}
	return nil
}

func (h hello) primary() bool { return h.Writable || h.LegacyWritable }

// readable reports whether the oplog can be read: a member in recovery, rollback or initial sync is
// neither primary nor secondary.
func (h hello) readable() bool { return !h.ArbiterOnly && (h.primary() || h.Secondary) }

func (h hello) delayed() bool { return h.Delay > 0 || h.LegacyDelay > 0 }

// names lists the data-bearing members in the reply, which does not include hidden ones.
func (h hello) names() []string { return slices.Concat(h.Hosts, h.Passives) }

// heartbeats keeps the errors of the driver's monitor for a host, because the error of a command
// only states that no server could be selected.
type heartbeats struct {
	// failed ends the query: the driver would continue to retry a host that has refused.
	failed context.CancelFunc

	mu   sync.Mutex
	wire int32
	err  error
}

func (w *heartbeats) monitor() *event.ServerMonitor {
	return &event.ServerMonitor{
		ServerDescriptionChanged: func(e *event.ServerDescriptionChangedEvent) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if e.NewDescription.MaxWireVersion > 0 {
				w.wire = e.NewDescription.MaxWireVersion
			}
		},
		ServerHeartbeatFailed: func(e *event.ServerHeartbeatFailedEvent) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.err = e.Failure
			w.failed()
		},
	}
}

// explain returns why a host did not answer, with what to set in the URI if only one side uses TLS.
func (w *heartbeats) explain(err error, usesTLS bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wire > 0 && w.wire < minWireVersion {
		return ErrTooOld
	}
	if w.err != nil {
		err = w.err
	}
	return WithoutConnection(fmt.Errorf("%s: %w", problemOf(err, usesTLS), err))
}

func problemOf(err error, usesTLS bool) string {
	var dns *net.DNSError
	var unknown x509.UnknownAuthorityError
	var remote *net.OpError
	var notTLS tls.RecordHeaderError
	switch {
	case errors.As(err, &dns):
		return fmt.Sprintf("the name %s does not resolve", dns.Name)
	case errors.As(err, &unknown):
		return "its certificate is signed by an unknown authority: name the CA's file by tlsCAFile in the URI"
	case errors.As(err, &remote) && remote.Op == "remote error":
		return "it does not accept the client certificate: see tlsCertificateKeyFile in the URI"
	case usesTLS && (errors.Is(err, io.EOF) || errors.As(err, &notTLS)):
		return "connection closed during the TLS handshake: if the server has no TLS, remove tls=true from the URI"
	case errors.Is(err, io.EOF):
		return "connection closed during the handshake: if the server requires TLS, add tls=true to the URI"
	}
	return "cannot be reached"
}

// connectionID matches the beginning of the driver's connection errors, which contain a number.
const connectionID = `connection\([^()]*\[-?\d+\]\) `

// WithoutConnection returns an error without the driver's connection numbers in its text, so that
// the same failure always has the same text.
func WithoutConnection(err error) error {
	text := regexp.MustCompile(connectionID).ReplaceAllString(err.Error(), "")
	if text == err.Error() {
		return err
	}
	return shortened{text, err}
}

type shortened struct {
	text string
	err  error
}

func (s shortened) Error() string { return s.text }
func (s shortened) Unwrap() error { return s.err }

// unauthenticated returns the options of a connection without credentials.
func unauthenticated(base *options.ClientOptions, host string) *options.ClientOptions {
	opts := direct(base, host)
	opts.Auth = nil
	return opts.SetServerSelectionTimeout(probeTimeout).SetConnectTimeout(probeTimeout)
}

// direct returns the options for a direct connection to one host, from those of a URI. A URI with an
// SRV record cannot be made direct itself.
func direct(base *options.ClientOptions, host string) *options.ClientOptions {
	opts := options.Client().SetHosts([]string{host}).SetDirect(true)
	opts.AppName = base.AppName
	opts.Auth = base.Auth
	opts.Compressors = base.Compressors
	opts.ConnectTimeout = base.ConnectTimeout
	opts.TLSConfig = base.TLSConfig
	opts.ServerAPIOptions = base.ServerAPIOptions
	return opts.SetServerSelectionTimeout(selectionTimeout)
}

func disconnect(client *mongo.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	// The connections are closed either way; the error does not matter.
	_ = client.Disconnect(ctx)
}
