package delivery

import (
	"bytes"
	"context"
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
	url    string
	secret Secret
	agent  string
	client *http.Client
}

// NewBackend returns the backend at a URL, which is used as it is given. The zero
// secret leaves requests unsigned. agent is the User-Agent header. The error does
// not repeat the URL, which can hold credentials.
func NewBackend(rawURL string, secret Secret, agent string) (*Backend, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, errors.New("want http://… or https://…, reserved characters percent-encoded")
	}
	return &Backend{url: rawURL, secret: secret, agent: agent, client: newClient()}, nil
}

func newClient() *http.Client {
	return &http.Client{
		Timeout: requestTimeout,
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: requestTimeout, KeepAlive: 30 * time.Second}).DialContext,
			ForceAttemptHTTP2:     true,
			MaxIdleConns:          100,
			MaxIdleConnsPerHost:   100,
			IdleConnTimeout:       30 * time.Second,
			TLSHandshakeTimeout:   10 * time.Second,
			ExpectContinueTimeout: time.Second,
		},
		// A redirect can lead to any host, so it is not followed.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Close returns idle connections back.
func (b *Backend) Close() { b.client.CloseIdleConnections() }

// Deliver makes one attempt of at most requestTimeout.
func (b *Backend) Deliver(ctx context.Context, m Message) Outcome {
	req, err := b.request(ctx, m, time.Now())
	if err != nil {
		return Outcome{Verdict: Misconfigured, Reason: reason(err)}
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return Outcome{Verdict: Retry, Reason: reason(err)}
	}
	defer resp.Body.Close()
	// The body is not used; an error while reading it does not change the result.
	_, _ = io.CopyN(io.Discard, resp.Body, maxResponse)
	return classify(resp, time.Now())
}

func (b *Backend) request(ctx context.Context, m Message, now time.Time) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url, bytes.NewReader(m.Body))
	if err != nil {
		return nil, err
	}
	stamp := strconv.FormatInt(now.Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", b.agent)
	req.Header.Set("webhook-id", m.ID)
	req.Header.Set("webhook-timestamp", stamp)
	if len(b.secret) > 0 {
		signature, err := b.secret.sign(m.ID, now, m.Body)
		if err != nil {
			return nil, err
		}
		req.Header.Set("webhook-signature", signature)
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

// classify maps a response to an outcome. A client error that is about the notification
// alone is Rejected, one that may be is Refused, any other Misconfigured.
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

// retryAfter parses the header in both its forms, seconds and date. It returns zero for
// any other value.
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

// maxRetryAfter bounds Retry-After: a mistake of the receiver must not stop delivery
// permanently.
const maxRetryAfter = time.Hour
