package delivery

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	// requestTimeout bounds a request, from connecting to the end of the response.
	requestTimeout = 15 * time.Second
	// maxResponse is how much of a response is read, so that its connection can be reused.
	maxResponse = 64 << 10
)

// Backend POSTs notifications to one URL, by the Standard Webhooks specification.
type Backend struct {
	url     string
	options Options
	client  *http.Client
}

// Options are the optional properties of a backend. The zero value has none.
type Options struct {
	// Secret signs requests; the zero value leaves them unsigned.
	Secret Secret
	// Agent is the User-Agent header.
	Agent string
	// Headers are added to every request and replace those with the same name.
	Headers http.Header
	// TLS is the configuration of the connections, nil for the default.
	TLS *tls.Config
	// Proxy returns the proxy of a request, nil for that of the environment.
	Proxy func(*http.Request) (*url.URL, error)
}

// Answer is a response: its status code and the beginning of its body.
type Answer struct {
	Code int
	Body []byte
}

// NewBackend returns the backend at a URL, which is used as given. The zero secret leaves
// requests unsigned. agent is the User-Agent header. The error does not contain the URL,
// which may contain credentials.
func NewBackend(rawURL string, secret Secret, agent string) (*Backend, error) {
	return New(rawURL, Options{Secret: secret, Agent: agent})
}

// New returns the backend at a URL with options, as NewBackend does.
func New(rawURL string, o Options) (*Backend, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, errors.New("want http://… or https://…, reserved characters percent-encoded")
	}
	return &Backend{url: rawURL, options: o, client: newClient(o)}, nil
}

func newClient(o Options) *http.Client {
	proxy := o.Proxy
	if proxy == nil {
		proxy = http.ProxyFromEnvironment
	}
	return &http.Client{
		Timeout: requestTimeout,
		Transport: &http.Transport{
			Proxy:                 proxy,
			TLSClientConfig:       o.TLS,
			DialContext:           (&net.Dialer{Timeout: requestTimeout, KeepAlive: 30 * time.Second}).DialContext,
			ForceAttemptHTTP2:     true,
			MaxIdleConns:          100,
			MaxIdleConnsPerHost:   100,
			IdleConnTimeout:       30 * time.Second,
			TLSHandshakeTimeout:   10 * time.Second,
			ExpectContinueTimeout: time.Second,
		},
		// Redirects are not followed, because they can point to any host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Destination returns the SHA-256 of the URL in hex.
func (b *Backend) Destination() string {
	sum := sha256.Sum256([]byte(b.url))
	return hex.EncodeToString(sum[:])
}

// Close closes idle connections.
func (b *Backend) Close() { b.client.CloseIdleConnections() }

// Deliver makes one attempt of at most requestTimeout.
func (b *Backend) Deliver(ctx context.Context, m Message) Outcome {
	outcome, _ := b.Exchange(ctx, m)
	return outcome
}

// Exchange makes one attempt as Deliver does, and also returns the response, whose code
// is 0 if there was none.
func (b *Backend) Exchange(ctx context.Context, m Message) (Outcome, Answer) {
	req, err := b.request(ctx, m, time.Now())
	if err != nil {
		return Outcome{Verdict: Misconfigured, Reason: reason(err)}, Answer{}
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return Outcome{Verdict: Retry, Reason: reason(err)}, Answer{}
	}
	defer resp.Body.Close()
	// An error while reading the body does not change the result.
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxResponse))
	return classify(resp, time.Now()), Answer{Code: resp.StatusCode, Body: body}
}

func (b *Backend) request(ctx context.Context, m Message, now time.Time) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url, bytes.NewReader(m.Body))
	if err != nil {
		return nil, err
	}
	stamp := strconv.FormatInt(now.Unix(), 10)
	contentType := m.ContentType
	if contentType == "" {
		contentType = "application/json"
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("User-Agent", b.options.Agent)
	req.Header.Set("webhook-id", m.ID)
	req.Header.Set("webhook-timestamp", stamp)
	if secret := b.options.Secret; len(secret) > 0 {
		signature, err := secret.sign(m.ID, now, m.Body)
		if err != nil {
			return nil, err
		}
		req.Header.Set("webhook-signature", signature)
	}
	for name, values := range b.options.Headers {
		req.Header[name] = values
	}
	return req, nil
}

// reason returns the text of an error without the URL that the HTTP client adds.
func reason(err error) string {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		if wrapped.Timeout() {
			return fmt.Sprintf("no response within %s", requestTimeout)
		}
		err = wrapped.Err
	}
	return err.Error()
}

// classify maps a response to an outcome. A client error is Rejected if only the notification
// can be its cause, Refused if the notification or the configuration can, else Misconfigured.
func classify(resp *http.Response, now time.Time) Outcome {
	code := resp.StatusCode
	switch {
	case code >= 200 && code < 300:
		return Outcome{Verdict: Delivered}
	case code >= 500, code == http.StatusRequestTimeout, code == http.StatusTooManyRequests:
		return Outcome{Verdict: Retry, Reason: responseReason(code), RetryAfter: retryAfter(resp.Header.Get("Retry-After"), now)}
	case code == http.StatusGone, code == http.StatusRequestEntityTooLarge:
		return Outcome{Verdict: Rejected, Reason: responseReason(code)}
	case code == http.StatusBadRequest, code == http.StatusUnprocessableEntity:
		return Outcome{Verdict: Refused, Reason: responseReason(code)}
	default:
		return Outcome{Verdict: Misconfigured, Reason: responseReason(code)}
	}
}

func responseReason(code int) string {
	text := fmt.Sprintf("the backend answered %d", code)
	if name := http.StatusText(code); name != "" {
		text += " " + name
	}
	return text
}

// retryAfter parses the header, in seconds or as a date. It returns zero for any other value.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseInt(header, 10, 64); err == nil {
		return time.Duration(max(0, min(seconds, int64(maxRetryAfter/time.Second)))) * time.Second
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0
	}
	return max(0, min(at.Sub(now), maxRetryAfter))
}

// maxRetryAfter bounds Retry-After, so that a wrong value does not stop delivery permanently.
const maxRetryAfter = time.Hour
