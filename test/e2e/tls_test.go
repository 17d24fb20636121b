package e2e

import (
	"crypto/x509/pkix"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ddltail/ddltail/test/certs"
	"github.com/ddltail/ddltail/test/mongotest"
)

// TestTLSMismatch checks that a mismatch of TLS between client and server is logged once,
// with a remedy.
func TestTLSMismatch(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca := certs.NewAuthority(t, "ca", time.Hour)
	replaced(t, filepath.Join(dir, "ca.pem"), ca.PEM())
	replaced(t, filepath.Join(dir, "server.pem"), ca.Issue(t, pkix.Name{CommonName: "server"}, time.Hour))
	secured := mongotest.NewReplicaSet(t, mongotest.Options{Uninitiated: true, Args: []string{
		"--tlsMode", "requireTLS", "--tlsCAFile", filepath.Join(dir, "ca.pem"), "--tlsCertificateKeyFile", filepath.Join(dir, "server.pem"),
		"--tlsAllowConnectionsWithoutCertificates",
	}})
	plain := mongotest.NewReplicaSet(t, mongotest.Options{Uninitiated: true})
	for name, c := range map[string]struct {
		uri, want string
	}{
		"the server requires TLS":    {secured.URI(), "if the server requires TLS, add tls=true"},
		"the server has none":        {plain.URI() + "&tls=true&tlsCAFile=" + filepath.Join(dir, "ca.pem"), "if the server has no TLS, remove tls=true"},
		"its authority is not known": {secured.URI() + "&tls=true", "tlsCAFile"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, command := range [][]string{{"run"}, {"listen", "--stdout"}} {
				p := launch(t, command, "DDLTAIL_MONGODB_URI="+c.uri)
				time.Sleep(8 * time.Second) // several attempts
				// An attempt that timed out before the reason was known has its own line.
				lines, hints := strings.Count(p.Stderr(), `"msg":"waiting"`), strings.Count(p.Stderr(), c.want)
				if hints != 1 || lines > 2 {
					t.Errorf("%q waits with %d lines, %d with %q, want one:\n%s", command, lines, hints, c.want, p.Stderr())
				}
			}
		})
	}
}
