package config

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/connstring"
)

// URI is a connection string that prints without its credentials.
type URI struct {
	raw    string
	parsed *connstring.ConnString
}

// ParseURI reads a MongoDB connection string. Its error never repeats what could
// be a credential.
func ParseURI(raw string) (URI, error) {
	parsed, err := connstring.ParseAndValidate(raw)
	if err != nil {
		return URI{}, fmt.Errorf("parse MongoDB URI: %s", scrub(err.Error(), raw))
	}
	return URI{raw: raw, parsed: parsed}, nil
}

// String shows the scheme, the hosts and the path; never the credentials, nor
// the options, some of which are secrets too.
func (u URI) String() string {
	if u.parsed == nil {
		return ""
	}
	s := u.parsed.Scheme + "://" + strings.Join(u.parsed.Hosts, ",")
	if u.parsed.Database != "" {
		s += "/" + u.parsed.Database
	}
	return s
}

// Options gives the driver's options for it.
func (u URI) Options() *options.ClientOptions {
	return options.Client().ApplyURI(u.raw)
}

// Hosts are the members named in the URI, or found by its SRV record.
func (u URI) Hosts() []string { return u.parsed.Hosts }

// Direct says whether the URI asks for one member and no other.
func (u URI) Direct() bool { return u.parsed.DirectConnection }

// PathIsAuthSource says whether the database in the path also decides where the
// user is looked up, which those who mean only the database do not expect.
func (u URI) PathIsAuthSource() bool {
	return u.parsed.Username != "" && u.parsed.Database != "" && !strings.Contains(strings.ToLower(u.raw), "authsource=")
}

// database is the path, unless it names only where users are kept.
func (u URI) database() string {
	if u.parsed == nil || reserved(u.parsed.Database) {
		return ""
	}
	return u.parsed.Database
}

// scrub takes out of a text what stands before the last @ of the URI's authority
// and the values of its options.
func scrub(text, raw string) string {
	text = strings.ReplaceAll(text, raw, "…")
	rest := regexp.MustCompile(`^[A-Za-z0-9+.-]*://`).ReplaceAllString(raw, "")
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		user, password, _ := strings.Cut(rest[:at], ":")
		for _, secret := range []string{rest[:at], password, user} {
			text = hide(text, secret)
		}
	}
	if _, query, ok := strings.Cut(rest, "?"); ok {
		for _, pair := range strings.FieldsFunc(query, func(r rune) bool { return r == '&' || r == ';' }) {
			_, value, _ := strings.Cut(pair, "=")
			text = hide(text, value)
		}
	}
	return text
}

func hide(text, secret string) string {
	for _, form := range []string{secret, unescape(secret)} {
		if form != "" {
			text = strings.ReplaceAll(text, form, "…")
		}
	}
	return text
}

func unescape(s string) string {
	if u, err := url.QueryUnescape(s); err == nil {
		return u
	}
	return ""
}

// RedactURL shows an HTTP URL without user, query and fragment.
func RedactURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "(not a URL)"
	}
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	return shown.String()
}
