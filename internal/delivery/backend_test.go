package delivery_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.uber.org/goleak"

	"github.com/ddltail/ddltail/internal/delivery"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// secret is a key of the length that the specification asks for.
const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func backend(t *testing.T, url, secret string) *delivery.Backend {
	t.Helper()
	key, err := delivery.ParseSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	b, err := delivery.NewBackend(url, key, "ddltail/test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

var message = delivery.Message{ID: "0123abcd", Body: []byte(`{"_id":"rs0:1","operation":"DROP_COLLECTION"}`)}

// TestSigned has the library that receivers use verify a request.
func TestSigned(t *testing.T) {
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := verifier.Verify(body, r.Header); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
		if err := verifier.Verify(append(body, ' '), r.Header); err == nil {
			t.Error("another body has the same signature")
		}
		if string(body) != string(message.Body) || r.Method != http.MethodPost || r.URL.RequestURI() != "/hook?a=b" ||
			r.Header.Get("Content-Type") != "application/json" || r.Header.Get("webhook-id") != message.ID {
			t.Errorf("got %s %s %v %s", r.Method, r.URL, r.Header, body)
		}
	})
	if o := backend(t, url+"/hook?a=b", secret).Deliver(t.Context(), message); o.Verdict != delivery.Delivered {
		t.Errorf("got %+v", o)
	}
}

func TestUnsigned(t *testing.T) {
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("webhook-signature") != "" || r.Header.Get("webhook-timestamp") == "" {
			t.Errorf("got %v", r.Header)
		}
	})
	if o := backend(t, url, "").Deliver(t.Context(), message); o.Verdict != delivery.Delivered {
		t.Errorf("got %+v", o)
	}
}

func TestAnswers(t *testing.T) {
	soon := time.Now().Add(42*time.Second + 500*time.Millisecond).UTC().Format(http.TimeFormat)
	for _, c := range []struct {
		code   int
		header string
		want   delivery.Verdict
		after  time.Duration
	}{
		{200, "", delivery.Delivered, 0}, {201, "", delivery.Delivered, 0}, {202, "", delivery.Delivered, 0}, {204, "", delivery.Delivered, 0},
		{500, "", delivery.Retry, 0}, {502, "", delivery.Retry, 0}, {503, "7", delivery.Retry, 7 * time.Second}, {599, "", delivery.Retry, 0},
		{408, "", delivery.Retry, 0}, {429, "3", delivery.Retry, 3 * time.Second}, {429, soon, delivery.Retry, 42 * time.Second},
		{429, "-1", delivery.Retry, 0}, {429, "soon", delivery.Retry, 0}, {429, "999999999999", delivery.Retry, time.Hour},
		{429, "Mon, 02 Jan 2006 15:04:05 GMT", delivery.Retry, 0},
		{400, "", delivery.Refused, 0}, {410, "", delivery.Rejected, 0}, {413, "", delivery.Rejected, 0}, {422, "", delivery.Refused, 0},
		{401, "", delivery.Misconfigured, 0}, {403, "", delivery.Misconfigured, 0}, {404, "", delivery.Misconfigured, 0},
		{405, "", delivery.Misconfigured, 0}, {409, "", delivery.Misconfigured, 0}, {451, "", delivery.Misconfigured, 0},
		{301, "", delivery.Misconfigured, 0}, {302, "", delivery.Misconfigured, 0}, {304, "", delivery.Misconfigured, 0},
		{307, "", delivery.Misconfigured, 0}, {308, "", delivery.Misconfigured, 0},
	} {
		t.Run(fmt.Sprintf("%d %s", c.code, c.header), func(t *testing.T) {
			requests := 0
			url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				requests++
				w.Header().Set("Location", "/elsewhere")
				if c.header != "" {
					w.Header().Set("Retry-After", c.header)
				}
				w.WriteHeader(c.code)
			})
			o := backend(t, url, "").Deliver(t.Context(), message)
			if o.Verdict != c.want || (o.RetryAfter-c.after).Abs() > time.Second || requests != 1 {
				t.Errorf("got %+v after %d requests", o, requests)
			}
			if (o.Reason == "") != (c.want == delivery.Delivered) {
				t.Errorf("reason %q", o.Reason)
			}
		})
	}
}

// TestNoAnswer checks that what goes wrong on the way is tried again, and that no
// part of the URL is disclosed.
func TestNoAnswer(t *testing.T) {
	closing := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			conn.Close()
		}
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + l.Addr().String()
	l.Close()
	for _, base := range []string{closing, closed, "http://no-such-host.invalid"} {
		url := strings.Replace(base, "://", "://user:pa55word@", 1) + "/t0ken?key=s3cret"
		o := backend(t, url, "").Deliver(t.Context(), message)
		if o.Verdict != delivery.Retry || o.Reason == "" {
			t.Errorf("%s: got %+v", base, o)
		}
		for _, part := range []string{"pa55word", "t0ken", "s3cret"} {
			if strings.Contains(o.Reason, part) {
				t.Errorf("the reason %q contains %q", o.Reason, part)
			}
		}
	}
}

// TestHanging checks that a backend that never answers is left when the context ends.
func TestHanging(t *testing.T) {
	gone := make(chan struct{})
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		close(gone)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if o := backend(t, url, "").Deliver(ctx, message); o.Verdict != delivery.Retry || o.Reason == "" {
		t.Errorf("got %+v", o)
	}
	<-gone
}

// TestLongAnswer checks that an answer without end holds nothing up.
func TestLongAnswer(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, strings.Repeat("x", 4096)); err != nil {
				return
			}
		}
	})
	began := time.Now()
	if o := backend(t, url, "").Deliver(t.Context(), message); o.Verdict != delivery.Delivered || time.Since(began) > 5*time.Second {
		t.Errorf("got %+v after %s", o, time.Since(began))
	}
}

func TestBadConfiguration(t *testing.T) {
	for _, url := range []string{"", "backend", "ftp://x/", "http://", "http:///path", "http://u:p%zz@h/", "://"} {
		if _, err := delivery.NewBackend(url, nil, ""); err == nil || strings.Contains(err.Error(), "p%zz") {
			t.Errorf("%q: %v", url, err)
		}
	}
	for _, text := range []string{"whsec_", "whsec_!!", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ9"} {
		if _, err := delivery.ParseSecret(text); err == nil || strings.Contains(err.Error(), "MfKQ9") {
			t.Errorf("%q: %v", text, err)
		}
	}
	key, err := delivery.ParseSecret(secret)
	const hidden = "(secret)"
	if text := fmt.Sprintf("%v%+v%#v%s", key, key, key, key); err != nil || text != strings.Repeat(hidden, 4) {
		t.Errorf("%v %s", err, text)
	}
}
