package receivers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/ddltail/ddltail/internal/delivery"
	"github.com/ddltail/ddltail/internal/notification"
)

// client returns a self-signed certificate and its key in PEM.
func client(t *testing.T) (certificate, key string, parsed *x509.Certificate) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ddltail"}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, &form, &form, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	if parsed, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, data []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}))
	}
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", keyDER), parsed
}

func sampleOf(t *testing.T) []Notification {
	t.Helper()
	sample, err := Sample(notification.DropCollection, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return []Notification{sample}
}

// TestClientCertificate has a server require the client's certificate, and the client a
// server of its own CA.
func TestClientCertificate(t *testing.T) {
	certificate, key, parsed := client(t)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if name := r.TLS.PeerCertificates[0].Subject.CommonName; name != "ddltail" {
			t.Errorf("the client is %s", name)
		}
	}))
	server.Config.ErrorLog = nil
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	defer server.Close()
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	files := map[string]string{"ca": ca, "cert": certificate, "key": key}
	for tlsText, want := range map[string]delivery.Verdict{
		"{ca_file: ca, cert_file: cert, key_file: key}": delivery.Delivered,
		"{ca_file: ca}":                    delivery.Retry,
		"{cert_file: cert, key_file: key}": delivery.Retry,
	} {
		r := loadAll(t, "receivers: [{name: a, url: '"+server.URL+"', tls: "+tlsText+"}]", files)[0]
		if o := r.Send(t.Context(), sampleOf(t)); o.Verdict != want {
			t.Errorf("%s: %+v", tlsText, o)
		}
		r.Close()
	}
}

// TestProxy checks that requests go through the proxy.
func TestProxy(t *testing.T) {
	var asked string
	proxy := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked = r.URL.String() }))
	defer proxy.Close()
	r := loadAll(t, "receivers: [{name: a, url: 'http://receiver.invalid/x', proxy: '"+proxy.URL+"'}]", nil)[0]
	defer r.Close()
	if o := r.Send(t.Context(), sampleOf(t)); o.Verdict != delivery.Delivered || asked != "http://receiver.invalid/x" {
		t.Errorf("%+v, the proxy was asked for %q", o, asked)
	}
}

// TestSecretFile checks that requests are signed.
func TestSecretFile(t *testing.T) {
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := verifier.Verify(body, r.Header); err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
		}
	}))
	defer server.Close()
	r := loadAll(t, "receivers: [{name: a, url: '"+server.URL+"', secret_file: s}]", map[string]string{"s": secret + "\n"})[0]
	defer r.Close()
	if o := r.Send(t.Context(), sampleOf(t)); o.Verdict != delivery.Delivered {
		t.Errorf("%+v", o)
	}
}

// TestSecretsStayHidden checks that no outcome shows the address, and Render no key.
func TestSecretsStayHidden(t *testing.T) {
	all := loadAll(t, `receivers:
- {name: a, url: 'http://user:pa55@127.0.0.1:1/t0ken?key=k3y'}
- {name: b, url: 'http://user:pa55@no-such-host.invalid/t0ken?key=k3y'}
- {name: c, template: pagerduty, url: 'http://127.0.0.1:1/', routing_key_file: key}
`, map[string]string{"key": "k3y"})
	for _, r := range all {
		o := r.Send(t.Context(), sampleOf(t))
		body, err := r.Render(sampleOf(t))
		if err != nil || o.Verdict != delivery.Retry {
			t.Errorf("%s: %+v, %v", r.Name, o, err)
		}
		for _, secret := range []string{"pa55", "t0ken", "k3y"} {
			if strings.Contains(o.Reason+string(body), secret) {
				t.Errorf("%s: %q is shown: %s %s", r.Name, secret, o.Reason, body)
			}
		}
		r.Close()
	}
}
