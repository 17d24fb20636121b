package e2e

import (
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/test/certs"
	"github.com/ddltail/ddltail/test/mongotest"
)

// codeNamespaceExists is the error of a second create.
const codeNamespaceExists = 48

// replaced replaces a file atomically, as Kubernetes does.
func replaced(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// TestPasswordRotated changes the password of a running ddltail: it continues on its
// connections, is refused after a restart of the server, and continues with the new URI.
func TestPasswordRotated(t *testing.T) {
	t.Parallel()
	secured := mongotest.NewReplicaSet(t, mongotest.Options{Auth: true})
	root := mongotest.Connect(t, secured.URI())
	s := scene{T: t, client: root, db: root.Database("rotated_password")}
	admin := root.Database("admin")
	s.must(admin.RunCommand(t.Context(), bson.D{{Key: "createUser", Value: "ann"}, {Key: "pwd", Value: "s3cret-old"}, {Key: "roles", Value: bson.A{"root"}}}).Err())
	file := filepath.Join(t.TempDir(), "uri")
	content := func(password string) []byte { return []byte(secured.URIOf("ann", password, "rotated_password") + "\n") }
	replaced(t, file, content("s3cret-old"))
	p := s.launch([]string{"run"}, "DDLTAIL_MONGODB_URI_FILE="+file)
	s.must(p.WaitReady(t.Context()))
	listening := s.launch([]string{"listen", "--stdout"}, "DDLTAIL_MONGODB_URI_FILE="+file)
	s.must(listening.WaitReady(t.Context()))
	s.must(s.db.CreateCollection(t.Context(), "before"))
	s.documents("schema_history", 1)

	// Before 5.0 the default is w: 1, and the server's kill can lose what is not journaled.
	s.must(admin.RunCommand(t.Context(), bson.D{{Key: "updateUser", Value: "ann"}, {Key: "pwd", Value: "s3cret-new"},
		{Key: "writeConcern", Value: bson.D{{Key: "w", Value: "majority"}, {Key: "j", Value: true}}}}).Err())
	s.must(secured.Members()[0].Restart(t.Context()))
	s.must(secured.WaitReady(t.Context()))
	// A server that has just started may not yet have read the key of the client's cluster
	// time, and then refuses its login.
	s.until("a collection is created", func() bool {
		err := s.db.CreateCollection(t.Context(), "refused")
		var fromServer mongo.ServerError
		return err == nil || errors.As(err, &fromServer) && fromServer.HasErrorCode(codeNamespaceExists)
	})
	s.until("ddltail is refused", func() bool {
		return strings.Contains(p.Stderr(), "credentials are refused") && strings.Contains(listening.Stderr(), "credentials are refused")
	})
	if code, _, err := p.Get(t.Context(), "/readyz"); code != http.StatusServiceUnavailable || err != nil {
		t.Errorf("/readyz while refused: %d, %v", code, err)
	}
	replaced(t, file, content("s3cret-new"))
	s.must(p.WaitReady(t.Context()))
	s.must(s.db.CreateCollection(t.Context(), "after"))
	wantStatements(t, s.documents("schema_history", 3),
		"CREATE COLLECTION before", "CREATE COLLECTION refused", "CREATE COLLECTION after")
	s.until("all is delivered", func() bool { return strings.Count(listening.Stdout(), "\n") == 3 })

	// The next rotation is reloaded by SIGHUP, before a connection is refused; a changed host
	// needs a restart.
	s.must(admin.RunCommand(t.Context(), bson.D{{Key: "updateUser", Value: "ann"}, {Key: "pwd", Value: "s3cret-newest"}}).Err())
	replaced(t, file, content("s3cret-newest"))
	s.must(p.Hangup())
	s.until("it reconnects", func() bool { return strings.Count(p.Stderr(), "credentials changed; reconnecting") == 2 })
	s.must(p.WaitReady(t.Context()))
	s.must(os.WriteFile(file, []byte("mongodb://ann:s3cret-newest@127.0.0.1:1/rotated_password?authSource=admin&replicaSet=rs0"), 0o600))
	s.must(p.Hangup())
	s.until("it logs that a restart is needed", func() bool { return strings.Contains(p.Stderr(), "restart ddltail to apply the new one") })
	s.must(s.db.CreateCollection(t.Context(), "last"))
	s.documents("schema_history", 4)
	for _, process := range []string{p.Stderr(), listening.Stderr()} {
		if strings.Contains(process, "s3cret") {
			t.Errorf("the log holds a password:\n%s", process)
		}
	}
}

// TestCertificatesRotated restarts the server with certificates of another authority:
// ddltail does not trust the server, and the server refuses ddltail, until the files are
// replaced.
func TestCertificatesRotated(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	client := pkix.Name{CommonName: "ddltail", Organization: []string{"clients"}}
	server := pkix.Name{CommonName: "server", Organization: []string{"servers"}}
	write := func(who string, a certs.Authority) {
		subject := client
		if who == "server" {
			subject = server
		}
		replaced(t, path(who+"-ca.pem"), a.PEM())
		replaced(t, path(who+".pem"), a.Issue(t, subject, time.Hour))
	}
	first, second := certs.NewAuthority(t, "first", 2*time.Hour), certs.NewAuthority(t, "second", 2*time.Hour)
	write("server", first)
	write("client", first)
	secured := mongotest.NewReplicaSet(t, mongotest.Options{Auth: true, Args: []string{
		"--tlsMode", "allowTLS", "--tlsCAFile", path("server-ca.pem"), "--tlsCertificateKeyFile", path("server.pem"),
	}})
	root := mongotest.Connect(t, secured.URI())
	s := scene{T: t, client: root, db: root.Database("rotated_tls")}
	s.must(root.Database("$external").RunCommand(t.Context(), bson.D{
		{Key: "createUser", Value: "CN=ddltail,O=clients"},
		{Key: "roles", Value: bson.A{bson.D{{Key: "role", Value: "root"}, {Key: "db", Value: "admin"}}}},
	}).Err())
	uri := fmt.Sprintf("mongodb://%s/rotated_tls?replicaSet=rs0&tls=true&authMechanism=MONGODB-X509&tlsCAFile=%s&tlsCertificateKeyFile=%s",
		secured.Hosts(), path("client-ca.pem"), path("client.pem"))
	p := s.launch([]string{"run"}, "DDLTAIL_MONGODB_URI="+uri)
	s.must(p.WaitReady(t.Context()))
	s.must(s.db.CreateCollection(t.Context(), "before"))
	s.documents("schema_history", 1)
	expiry := func() float64 {
		at, err := p.Metric(t.Context(), `ddltail_certificate_expiry_timestamp_seconds{use="mongodb_client"}`)
		s.must(err)
		return at
	}
	if left := time.Until(time.Unix(int64(expiry()), 0)); left < 50*time.Minute || left > time.Hour {
		t.Errorf("the certificate expires in %s", left)
	}

	write("server", second)
	s.must(secured.Members()[0].Restart(t.Context()))
	s.must(secured.WaitReady(t.Context()))
	s.must(s.db.CreateCollection(t.Context(), "refused"))
	s.until("ddltail does not trust the server", func() bool { return strings.Contains(p.Stderr(), "credentials are refused") })
	// With only the CA replaced, the server refuses the client.
	replaced(t, path("client-ca.pem"), second.PEM())
	s.until("it reconnects", func() bool { return strings.Contains(p.Stderr(), "credentials changed; reconnecting") })
	replaced(t, path("client.pem"), second.Issue(t, client, 2*time.Hour))
	s.must(p.WaitReady(t.Context()))
	s.must(s.db.CreateCollection(t.Context(), "after"))
	wantStatements(t, s.documents("schema_history", 3),
		"CREATE COLLECTION before", "CREATE COLLECTION refused", "CREATE COLLECTION after")
	if left := time.Until(time.Unix(int64(expiry()), 0)); left < time.Hour {
		t.Errorf("the new certificate expires in %s", left)
	}
}
