package config

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/connstring"
)

// Reload rereads the URIs from the environment and the files named there.
func Reload(now time.Time) (mongoDB, sink URI, err error) {
	cfg, err := Load(now)
	return cfg.MongoDB, cfg.Sink, err
}

// ReloadSecret rereads WEBHOOK_SECRET from the environment or the file named there.
func ReloadSecret(now time.Time) (string, error) {
	cfg, err := Load(now)
	return cfg.WebhookSecret, err
}

// CheckRotation returns an error that names what differs in the next URI, if that is more
// than user, password and TLS files. Such a change needs a restart.
func (u URI) CheckRotation(next URI) error {
	a, b := u.parsed, next.parsed
	for _, part := range []struct {
		name  string
		equal bool
	}{
		{"the hosts", a.Scheme == b.Scheme && slices.Equal(a.RawHosts, b.RawHosts)},
		{"replicaSet", a.ReplicaSet == b.ReplicaSet},
		{"the database in the path", a.Database == b.Database},
		{"authSource", a.AuthSource == b.AuthSource},
		{"authMechanism", a.AuthMechanism == b.AuthMechanism},
	} {
		if !part.equal {
			return fmt.Errorf("%s changed, not only user, password or TLS files", part.name)
		}
	}
	if !reflect.DeepEqual(lasting(*a), lasting(*b)) {
		return errors.New("an option changed, not only user, password or TLS files")
	}
	return nil
}

// lasting returns the options of a connection string that do not rotate.
func lasting(c connstring.ConnString) connstring.ConnString {
	c.Original, c.Hosts, c.Options, c.UnknownOptions = "", nil, nil, nil
	c.Username, c.UsernameSet, c.Password, c.PasswordSet = "", false, "", false
	c.AuthSourceSet = false
	c.SSLCaFile, c.SSLCertificateFile, c.SSLPrivateKeyFile, c.SSLClientCertificateKeyFile = "", "", "", ""
	c.SSLClientCertificateKeyPassword, c.SSLClientCertificateKeyPasswordSet = nil, false
	return c
}

// Digest identifies the URI with the content of the TLS files that it names.
func (u URI) Digest() [sha256.Size]byte {
	h := sha256.New()
	h.Write([]byte(u.raw))
	for _, path := range u.tlsFiles() {
		content, err := os.ReadFile(path)
		// A file that is being replaced may be missing: the digest then differs.
		fmt.Fprintf(h, "\n%s %t %d\n", path, err == nil, len(content))
		h.Write(content)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

func (u URI) tlsFiles() []string {
	p := u.parsed
	return slices.DeleteFunc([]string{p.SSLCaFile, p.SSLCertificateFile, p.SSLPrivateKeyFile, p.SSLClientCertificateKeyFile},
		func(path string) bool { return path == "" })
}

// Expiry is when the certificates that a URI names expire; zero for none.
type Expiry struct {
	// Client is for the certificate presented to the servers, CA for the first to expire of
	// the trusted certificates.
	Client, CA time.Time
}

// Expiry reads the certificates that the URI names.
func (u URI) Expiry() Expiry {
	client := u.parsed.SSLClientCertificateKeyFile
	if client == "" {
		client = u.parsed.SSLCertificateFile
	}
	var e Expiry
	if certificates := readCertificates(client); len(certificates) > 0 {
		e.Client = certificates[0].NotAfter
	}
	for _, c := range readCertificates(u.parsed.SSLCaFile) {
		if e.CA.IsZero() || c.NotAfter.Before(e.CA) {
			e.CA = c.NotAfter
		}
	}
	return e
}

// readCertificates returns the certificates of a PEM file that can be parsed. The driver
// reports the others.
func readCertificates(path string) []*x509.Certificate {
	if path == "" {
		return nil
	}
	rest, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	var out []*x509.Certificate
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return out
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil {
			out = append(out, c)
		}
	}
}
