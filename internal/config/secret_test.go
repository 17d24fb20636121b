package config_test

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/sink"
)

// mark is repeated in every secret of these tests, so that a part of one is
// found as well.
const mark = "Qz7"

// secret draws a secret with characters that are easily got wrong in a URI.
func secret(t *rapid.T, label string) string {
	parts := rapid.SliceOfN(rapid.SampledFrom([]string{
		"", "@", ":", "/", "?", "#", "%", "%zz", "%40", "+", "&", "=", ";", ",", " ", "\"", "\\", "é", "\n", "[", "]",
	}), 0, 4).Draw(t, label)
	return mark + strings.Join(parts, mark) + mark
}

// connectionString draws one that is right or wrong, with secrets all over it.
func connectionString(t *rapid.T) string {
	at := rapid.SampledFrom([]string{"@", "@", "%40", "@@", ""}).Draw(t, "at")
	host := rapid.SampledFrom([]string{"127.0.0.1:27017", "h", "h:x", "", "a,b", "[::1", "h:1:2"}).Draw(t, "host")
	return rapid.SampledFrom([]string{"mongodb://", "mongodb://", "mongodb:/", "http://", ""}).Draw(t, "scheme") +
		escaped(t, "user") + ":" + escaped(t, "password") + at + host +
		rapid.SampledFrom([]string{"/", "/db", "?", ""}).Draw(t, "path") + options(t)
}

// escaped draws a secret, escaped as it must be or not.
func escaped(t *rapid.T, label string) string {
	escape := rapid.SampledFrom([]func(string) string{url.QueryEscape, url.PathEscape, strings.Clone}).Draw(t, "escape")
	return escape(secret(t, label))
}

func options(t *rapid.T) string {
	text, separator := "", "?"
	for range rapid.IntRange(0, 3).Draw(t, "options") {
		option := rapid.SampledFrom([]string{
			"authSource", "authMechanism", "authMechanismProperties", "tlsCertificateKeyFile", "tlsCertificateKeyFilePassword",
			"tlsCAFile", "w", "readPreference", "connect", "directConnection", "maxPoolSize", "tls", "replicaSet", "unknown",
			"proxyPassword", "compressors", "serverMonitoringMode", "readPreferenceTags",
		}).Draw(t, "option")
		value := escaped(t, "value")
		if option == "tlsCAFile" || option == "tlsCertificateKeyFile" {
			// The path of a file is no secret: an error names it.
			value = "/no/such/file"
		}
		text += separator + option + "=" + value
		separator = "&"
	}
	return text
}

func noSecret(t *rapid.T, what, text string) {
	if strings.Contains(text, mark) {
		t.Fatalf("%s: %s", what, text)
	}
}

func TestURIErrorsHoldNoSecret(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if _, err := config.ParseURI(connectionString(t)); err != nil {
			noSecret(t, "error", err.Error())
		}
	})
}

func TestURIStringHoldsNoSecret(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := "mongodb://" + url.UserPassword(secret(t, "user"), secret(t, "password")).String() + "@h:1/db?appName=" + url.QueryEscape(secret(t, "name"))
		u, err := config.ParseURI(raw)
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		noSecret(t, "verb v", fmt.Sprintf("%v %+v %s", u, config.Config{MongoDB: u, SinkValues: sink.Values{"KAFKA_PASSWORD": secret(t, "value")}}, u))
	})
}

// TestErrorsHoldNoSecret puts connection strings and webhook secrets into every
// variable, also into those for which they were not meant.
func TestErrorsHoldNoSecret(t *testing.T) {
	t.Setenv("CODEFLOW_BACKEND_URL", "")
	file := filepath.Join(t.TempDir(), "secret")
	// The variables of a sink are checked if it is used.
	set := map[string]string{"DDLTAIL_SINKS": "kafka:ddl,nats:ddl", "DDLTAIL_NATS_URL": "nats://h", "DDLTAIL_KAFKA_BROKERS": "h:1",
		"DDLTAIL_KAFKA_SASL": "plain", "DDLTAIL_KAFKA_USER": "u", "DDLTAIL_KAFKA_PASSWORD": "p"}
	for _, v := range config.Variables() {
		t.Setenv(v.Name, set[v.Name])
	}
	rapid.Check(t, func(r *rapid.T) {
		v := rapid.SampledFrom(config.Variables()).Draw(r, "variable")
		value := strings.ReplaceAll(rapid.OneOf(
			rapid.Custom(connectionString),
			rapid.Custom(func(t *rapid.T) string { return "whsec_" + secret(t, "key") }),
			rapid.Custom(func(t *rapid.T) string { return "https://" + secret(t, "key") + "@h/" + secret(t, "path") }),
		).Draw(r, "value"), "\x00", "")
		if !strings.Contains(v.Name, "_URI") && !strings.ContainsAny(value, "@%") && !strings.Contains(value, "://") {
			t.Skip("it cannot be recognised as a credential")
		}
		if strings.HasSuffix(v.Name, "_FILE") && rapid.Bool().Draw(r, "in a file") {
			if err := os.WriteFile(file, []byte(value), 0o600); err != nil {
				r.Fatal(err)
			}
			value = file
		}
		t.Setenv(v.Name, value)
		_, err := config.Load(now)
		t.Setenv(v.Name, set[v.Name])
		if err != nil {
			noSecret(r, v.Name, err.Error())
		}
	})
}

func TestWebConfigFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "web.yml")
	for content, want := range map[string]string{
		"basic_auth_users:\n  ann: $2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi\n": "",
		"basic_auth_users: " + mark + "\n":              "cannot unmarshal",
		"basic_auth_users:\n  ann: " + mark + "\n":      "bcrypt",
		"tls_server_config:\n  cert_file: absent.pem\n": "key_file",
		"users: {}\n": "not found",
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := load(t, "WEB_CONFIG_FILE="+path)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", content, err, want)
		}
		if err != nil && strings.Contains(err.Error(), mark) {
			t.Errorf("the error holds a password: %v", err)
		}
	}
}

func TestURIString(t *testing.T) {
	for raw, want := range map[string]string{
		"mongodb://user:s3cret@a:1,b:2/db?replicaSet=rs0&appName=s3cret": "mongodb://a:1,b:2/db",
		"mongodb://a":                       "mongodb://a",
		"mongodb://u:p@a/?authSource=admin": "mongodb://a",
	} {
		u, err := config.ParseURI(raw)
		if err != nil || u.String() != want {
			t.Errorf("got %s, %v, want %s", u, err, want)
		}
	}
	if s := (config.URI{}).String(); s != "" {
		t.Errorf("the zero value is %q", s)
	}
}

func TestPathIsAuthSource(t *testing.T) {
	for raw, want := range map[string]bool{
		"mongodb://u:p@h/db":                             true,
		"mongodb://u:authsource=@h/db":                   true,
		"mongodb://u:p@h/db?authSource=admin":            false,
		"mongodb://u:p@h/db?AUTHSOURCE=db":               false,
		"mongodb://u:p@h/":                               false,
		"mongodb://h/db":                                 false,
		"mongodb://u:p@h/db?authMechanism=SCRAM-SHA-256": true,
		"mongodb://u@h/db?authMechanism=MONGODB-X509":    false,
	} {
		u, err := config.ParseURI(raw)
		if err != nil || u.PathIsAuthSource() != want {
			t.Errorf("%s: got %t, %v, want %t", raw, u.PathIsAuthSource(), err, want)
		}
	}
}

// TestURIReasons sees that a message still says what is wrong.
func TestURIReasons(t *testing.T) {
	for raw, want := range map[string]string{
		"mongodb://user:pa/ss@h/":              "unescaped slash in password",
		"mongodb://user:pa@ss@h/":              "unescaped @ sign in user info",
		"mongodb://user:pass%40host/":          "port must be an integer",
		"mongodb://h/?loadBalanced=true":       "name members of the replica set",
		"mongodb://user%40host:27017/":         "the @ before the hosts is percent-encoded",
		"mongodb://user:p@ss/w@h/":             "unescaped @ sign in user info",
		"mongodb://h:1:2/":                     "too many colons",
		"mongodb://h/?maxPoolSize=many":        "invalid value for maxPoolSize",
		"mongodb://h/?tlsCAFile=/no/such":      "no such file",
		"mongodb://a,b/?directConnection=true": "direct connection",
		"mongodb://h/?readPreference=best":     "unknown read preference",
		"mongodb+srv://no-such-host.invalid/":  "no-such-host.invalid",
		"localhost":                            "scheme must be",
	} {
		if _, err := config.ParseURI(raw); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", raw, err, want)
		}
	}
}

func TestRedactURL(t *testing.T) {
	for raw, want := range map[string]string{
		"https://user:s3cret@host:8443/a/b?token=s3cret#s3cret": "https://host:8443/a/b",
		"http://host":                  "http://host",
		"https://user:12/s3cret@host/": "(not shown: it may contain a credential)",
		"https://u:1@h/s3cret@x":       "(not shown: it may contain a credential)",
		"https://host/?to=a@b":         "https://host/",
		"https://user:s3%zzcret@host/": "(not a URL)",
		"":                             "",
	} {
		if got := config.RedactURL(raw); got != want {
			t.Errorf("%s: got %s, want %s", raw, got, want)
		}
	}
}

// FuzzParseURI looks for panics, and for parts of the URI in errors: every q of the
// input becomes the mark.
func FuzzParseURI(f *testing.F) {
	for _, seed := range []string{"u:q@h/db?w=q", "q:q%40h:1/", "[::1]:27017,h/%zzq", "h/?tls=true&ssl=false", "h/?authMechanismProperties=q:q"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, rest string) {
		raw := "mongodb://" + strings.ReplaceAll(rest, "q", mark)
		u, err := config.ParseURI(raw)
		if err == nil {
			_ = u.Hosts()
			return
		}
		var file *config.FileError
		if errors.As(err, &file) {
			err = file.Err
		}
		if strings.Contains(err.Error(), mark) {
			t.Fatalf("%q: %s", raw, err)
		}
	})
}
