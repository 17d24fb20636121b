package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/connstring"
)

// URI is a connection string that prints without its credentials.
type URI struct {
	raw    string
	parsed *connstring.ConnString
}

// ParseURI parses a MongoDB connection string and reads the files that it names. Its errors
// do not contain credentials.
func ParseURI(raw string) (URI, error) {
	parsed, err := connstring.ParseAndValidate(raw)
	if err == nil {
		err = options.Client().ApplyURI(raw).Validate()
	}
	var file *fs.PathError
	var dns *net.DNSError
	switch {
	case errors.As(err, &file):
		return URI{}, &FileError{Option: fileOption(parsed, file.Path), Path: file.Path, Err: file.Err}
	case errors.As(err, &dns):
		return URI{}, &ResolutionError{Text: reason(err)}
	case err != nil:
		return URI{}, fmt.Errorf("parse MongoDB URI: %s", reason(err))
	}
	if strings.Contains(strings.Join(parsed.Hosts, ""), "@") {
		return URI{}, errors.New("parse MongoDB URI: the @ before the hosts is percent-encoded")
	}
	if place, _, _ := strings.Cut(raw, "?"); strings.Count(place, "@") > 1 {
		return URI{}, errors.New("parse MongoDB URI: unescaped @ sign in user info")
	}
	if parsed.LoadBalanced {
		return URI{}, errors.New("parse MongoDB URI: loadBalanced=true names a load balancer; name members of the replica set without it")
	}
	return URI{raw: raw, parsed: parsed}, nil
}

// FileError is a file named in a connection string that cannot be read.
type FileError struct {
	Option, Path string
	Err          error
}

func (e *FileError) Error() string {
	return fmt.Sprintf("the file %s of the option %s cannot be read: %v", e.Path, e.Option, e.Err)
}

func (e *FileError) Unwrap() error { return e.Err }

func fileOption(parsed *connstring.ConnString, path string) string {
	switch {
	case parsed == nil:
		return "of TLS"
	case parsed.SSLCaFile == path:
		return "tlsCAFile"
	}
	return "tlsCertificateKeyFile"
}

// ResolutionError is returned for an SRV name that DNS does not know yet.
type ResolutionError struct{ Text string }

func (e *ResolutionError) Error() string { return e.Text }

// unknownOptions lists the names of options that the driver ignores, without their values.
func unknownOptions(uris ...URI) []string {
	name := regexp.MustCompile(`^[A-Za-z]{1,40}$`)
	var names []string
	for _, u := range uris {
		if u.parsed == nil {
			continue
		}
		for option := range u.parsed.UnknownOptions {
			if !name.MatchString(option) {
				option = "(an invalid name)"
			}
			names = append(names, option)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// String returns the scheme, the hosts and the path, without credentials and options, some
// of which are secrets too.
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

// Options returns the driver's options for it.
func (u URI) Options() *options.ClientOptions {
	return options.Client().ApplyURI(u.raw)
}

// Hosts are the members named in the URI, or found by its SRV record.
func (u URI) Hosts() []string { return u.parsed.Hosts }

// Same reports whether another URI is the same text.
func (u URI) Same(other URI) bool { return u.raw == other.raw }

// Direct reports whether the URI names one member for a direct connection.
func (u URI) Direct() bool { return u.parsed.DirectConnection }

// PathIsAuthSource reports whether the user is looked up in the database of the path, which
// is unexpected if only the database of the collections was meant.
func (u URI) PathIsAuthSource() bool {
	p := u.parsed
	return p.Username != "" && p.Database != "" && p.AuthSource == p.Database && !p.AuthSourceSet
}

// database returns the path, unless it is only the authSource.
func (u URI) database() string {
	if u.parsed == nil || reserved(u.parsed.Database) {
		return ""
	}
	return u.parsed.Database
}

// reason returns the driver's error about a connection string, without the parts of the
// string that it quotes: without the @ they may contain a credential.
func reason(err error) string {
	var addr *net.AddrError
	var dns *net.DNSError
	switch {
	case errors.As(err, &addr):
		return "invalid host: " + addr.Err
	case errors.As(err, &dns) && regexp.MustCompile(`^[A-Za-z0-9._-]+$`).MatchString(dns.Name):
		return fmt.Sprintf("look up %s: %s", dns.Name, dns.Err)
	case errors.As(err, &dns):
		return "look up the host: " + dns.Err
	}
	option := regexp.MustCompile(`(invalid value for )"(\w+)"`)
	quoted := regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	readPreference := regexp.MustCompile(`(unknown read preference) (?s:.*)`)
	text := option.ReplaceAllString(err.Error(), "$1$2")
	return readPreference.ReplaceAllString(quoted.ReplaceAllString(text, "…"), "$1")
}

// RedactURL returns an HTTP URL without user, query and fragment; a placeholder if the user
// part cannot be separated from the rest.
func RedactURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "(not a URL)"
	}
	place, _, _ := strings.Cut(raw, "?")
	place, _, _ = strings.Cut(place, "#")
	if at := strings.Count(place, "@"); at > 1 || at == 1 && u.User == nil {
		return "(not shown: it may contain a credential)"
	}
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	return shown.String()
}
