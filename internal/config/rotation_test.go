package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/test/certs"
)

// TestCheckRotation checks what a new URI may change without a restart.
func TestCheckRotation(t *testing.T) {
	const before = "mongodb://ann:old@a:1,b:1/db?replicaSet=rs0&authSource=admin&appName=x"
	for after, want := range map[string]string{
		before: "",
		"mongodb://ann:new@a:1,b:1/db?replicaSet=rs0&authSource=admin&appName=x":          "",
		"mongodb://bob:n%40w@a:1,b:1/db?authSource=admin&replicaSet=rs0&appName=x":        "",
		"mongodb://ann:new@a:1,c:1/db?replicaSet=rs0&authSource=admin&appName=x":          "the hosts",
		"mongodb://ann:new@a:1/db?replicaSet=rs0&authSource=admin&appName=x":              "the hosts",
		"mongodb://ann:new@a:1,b:1/db?replicaSet=rs1&authSource=admin&appName=x":          "replicaSet",
		"mongodb://ann:new@a:1,b:1/other?replicaSet=rs0&authSource=admin&appName=x":       "the database",
		"mongodb://ann:new@a:1,b:1/db?replicaSet=rs0&authSource=db&appName=x":             "authSource",
		"mongodb://ann:new@a:1,b:1/db?replicaSet=rs0&appName=x":                           "authSource",
		"mongodb://ann:new@a:1,b:1/db?replicaSet=rs0&authSource=admin&appName=x&w=1":      "an option",
		"mongodb://ann:new@a:1,b:1/db?replicaSet=rs0&authSource=admin&appName=y":          "an option",
		"mongodb://ann:new@a:1,b:1/db?replicaSet=rs0&authSource=admin&tls=true&appName=x": "an option",
	} {
		a, err := config.ParseURI(before)
		if err != nil {
			t.Fatal(err)
		}
		b, err := config.ParseURI(after)
		if err != nil {
			t.Fatal(err)
		}
		err = a.CheckRotation(b)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", after, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "new") {
			t.Errorf("the error holds the password: %v", err)
		}
	}
}

// TestDigest checks that the URI and the content of the TLS files count.
func TestDigest(t *testing.T) {
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	write := func(lasts time.Duration) {
		t.Helper()
		bundle := append(certs.NewAuthority(t, "first", lasts).PEM(), certs.NewAuthority(t, "second", 2*lasts).PEM()...)
		if err := os.WriteFile(ca, bundle, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(time.Hour)
	u, err := config.ParseURI("mongodb://a:1/?tls=true&tlsCAFile=" + ca)
	if err != nil {
		t.Fatal(err)
	}
	first := u.Digest()
	if u.Digest() != first {
		t.Error("the digest is not stable")
	}
	if e := u.Expiry(); time.Until(e.CA) > time.Hour || time.Until(e.CA) < 50*time.Minute || !e.Client.IsZero() {
		t.Errorf("expiry %+v", e)
	}
	write(time.Hour)
	if u.Digest() == first {
		t.Error("another CA has the same digest")
	}
	if err := os.Remove(ca); err != nil {
		t.Fatal(err)
	}
	if e := u.Expiry(); u.Digest() == first || !e.CA.IsZero() {
		t.Errorf("a missing file: expiry %+v", e)
	}
}
