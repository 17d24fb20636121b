package main

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/delivery"
	"github.com/ddltail/ddltail/internal/listener"
	"github.com/ddltail/ddltail/internal/receivers"
)

// receiverSource reads the receivers of `listen`, at startup and on SIGHUP.
type receiverSource struct {
	// cfg has the secret that was read last.
	cfg config.Config
	// stdout replaces BACKEND_URL; nil without --stdout.
	stdout *delivery.Stream

	mu   sync.Mutex
	open []receivers.Receiver
}

// read returns the receivers of the file, and that of --stdout or BACKEND_URL. The error is
// config.Errors, one for each invalid value.
func (s *receiverSource) read() ([]listener.Receiver, error) {
	cfg := s.cfg
	if s.stdout != nil {
		cfg.BackendURL = ""
	}
	all, err := allReceivers(cfg)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	before := s.open
	s.open = all
	s.mu.Unlock()
	for _, r := range before {
		r.Close() // requests that are running are not affected
	}
	var wired []listener.Receiver
	if s.stdout != nil {
		wired = append(wired, listener.Receiver{Name: listener.StdoutReceiver, Target: lines{s.stdout}, Remedy: "check the program that reads stdout"})
	}
	for _, r := range all {
		wired = append(wired, wiredReceiver(r))
	}
	return wired, nil
}

func wiredReceiver(r receivers.Receiver) listener.Receiver {
	wired := listener.Receiver{
		Name: r.Name, Target: messages{r}, Destination: r.Destination(), Digest: r.Digest, Interval: r.Rate.Interval(), GiveUpAfter: r.GiveUpAfter,
		Includes: r.Filter.Includes, Remedy: "check its entry in DDLTAIL_RECEIVERS_FILE and what it expects",
	}
	if r.Name == listener.BackendReceiver {
		wired.Includes, wired.Remedy = nil, "check DDLTAIL_BACKEND_URL and what the backend expects"
	}
	return wired
}

// reload reads the receivers and their secrets again. If a file is invalid, the error is logged and
// the receivers do not change.
func (s *receiverSource) reload(l *listener.Listener) {
	all, err := s.reread()
	if err != nil {
		l.Log.Error("the receivers cannot be read; the previous ones are kept", zap.Error(err))
		return
	}
	s.log(l.Log, all)
	l.SetReceivers(all)
}

func (s *receiverSource) reread() ([]listener.Receiver, error) {
	secret, err := config.ReloadSecret(time.Now())
	if err != nil {
		return nil, err
	}
	s.cfg.WebhookSecret = secret
	return s.read()
}

func (s *receiverSource) log(log *zap.Logger, all []listener.Receiver) {
	names := make([]string, len(all))
	for i, r := range all {
		names[i] = r.Name
		if r.Name == listener.BackendReceiver {
			log.Info("backend", zap.String("url", config.RedactURL(s.cfg.BackendURL)), zap.Bool("signed", s.cfg.WebhookSecret != ""))
		}
	}
	log.Info("receivers", zap.Strings("names", names))
}

func (s *receiverSource) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.open {
		r.Close()
	}
}

// messages adapts a receiver to the listener.
type messages struct{ receiver receivers.Receiver }

// Deliver sends notifications as one message.
func (m messages) Deliver(ctx context.Context, all []listener.Notification) delivery.Outcome {
	notifications := make([]receivers.Notification, len(all))
	for i, n := range all {
		notifications[i] = receivers.Notification{ID: n.ID, Document: n.Document}
	}
	return m.receiver.Send(ctx, notifications)
}

// lines prints notifications as lines of JSON.
type lines struct{ stream *delivery.Stream }

// Deliver prints one notification: stdout has no digest.
func (l lines) Deliver(ctx context.Context, all []listener.Notification) delivery.Outcome {
	body, err := all[0].JSON()
	if err != nil {
		return delivery.Outcome{Verdict: delivery.Rejected, Reason: err.Error()}
	}
	return l.stream.Deliver(ctx, delivery.Message{ID: all[0].ID, Body: body})
}
