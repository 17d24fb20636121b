package receivers

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ddltail/ddltail/internal/delivery"
	"github.com/ddltail/ddltail/internal/notification"
)

func (l *loader) filter(e filterEntry) notification.Filter {
	items := func(list []scalar) []string {
		var texts []string
		for _, s := range list {
			texts = append(texts, s.text)
		}
		return texts
	}
	filter, err := notification.NewFilter(notification.Rules{
		Operations: items(e.Operations), Namespaces: items(e.Namespaces), Risk: items(e.Risk), User: items(e.User), App: items(e.App),
	})
	wrong := (*notification.RuleError)(nil)
	if !errors.As(err, &wrong) {
		return filter
	}
	for _, s := range slices.Concat(e.Operations, e.Risk) {
		if strings.EqualFold(s.text, wrong.Item) {
			l.fail(s.line, wrong.Field, "%s: want some of %s, or ! before one to exclude it", shown(s.text), strings.Join(wrong.Want, ", "))
			break
		}
	}
	return filter
}

// duration returns a duration, or zero for one of the words in none.
func (l *loader) duration(s scalar, key string, otherwise time.Duration, none ...string) time.Duration {
	if s.text == "" {
		return otherwise
	}
	if slices.Contains(none, s.text) {
		return 0
	}
	d, err := time.ParseDuration(s.text)
	if err != nil || d <= 0 {
		l.fail(s.line, key, "%s: want a duration such as 30s or 24h", shown(s.text))
	}
	return d
}

// rate reads a rate such as 1/s or 30/m.
func (l *loader) rate(s scalar, otherwise Rate) Rate {
	if s.text == "" {
		return otherwise
	}
	if s.text == "none" {
		return Rate{}
	}
	count, unit, _ := strings.Cut(s.text, "/")
	n, err := strconv.Atoi(count)
	per, ok := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[unit]
	if err != nil || !ok || n < 1 || n > 1000 {
		l.fail(s.line, "rate", "%s: want none, or 1 to 1000 messages in a unit, such as 1/s, 30/m or 100/h", shown(s.text))
		return otherwise
	}
	return Rate{Messages: n, Per: per}
}

// path resolves a path of the file against its folder.
func (l *loader) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(l.folder, name)
}

// file returns the content of a file without spaces around it.
func (l *loader) file(s scalar, key string) string {
	if s.text == "" {
		return ""
	}
	content, err := os.ReadFile(l.path(s.text))
	if err != nil {
		l.fail(s.line, key, "want the path of a file that can be read (%v)", withoutPath(err))
		return ""
	}
	text := strings.TrimSpace(string(content))
	if text == "" {
		l.fail(s.line, key, "the file is empty")
	}
	return text
}

func (l *loader) text(value, file scalar, key string) string {
	if value.text != "" && file.text != "" {
		l.fail(file.line, key+"_file", "%s is set too: want one of them", key)
		return ""
	}
	if file.text != "" {
		return l.file(file, key+"_file")
	}
	return value.text
}

func (l *loader) secret(s scalar) delivery.Secret {
	text := l.file(s, "secret_file")
	secret, err := delivery.ParseSecret(text)
	if err != nil {
		l.fail(s.line, "secret_file", "%v", err)
	}
	return secret
}

func (l *loader) headers(line int, all map[string]header) http.Header {
	out := http.Header{}
	for name, h := range all {
		at := max(line, h.value.line, h.file.line)
		value := l.text(h.value, scalar{}, "headers")
		if h.file.text != "" {
			value = l.file(h.file, "headers")
		}
		canonical := http.CanonicalHeaderKey(name)
		if !regexp.MustCompile(`^[A-Za-z0-9_-]+$`).MatchString(name) || slices.Contains([]string{"Host", "Content-Length", "Transfer-Encoding", "Connection"}, canonical) {
			l.fail(at, "headers", "%s is not the name of a header that can be set", shown(name))
			continue
		}
		if strings.ContainsAny(value, "\r\n\x00") {
			l.fail(at, "headers", "the value of %s has more than one line", canonical)
		}
		out.Set(canonical, value)
	}
	return out
}

func (l *loader) tls(line int, e tlsEntry) *tls.Config {
	if e == (tlsEntry{}) {
		return nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca := l.file(e.CAFile, "ca_file"); ca != "" {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM([]byte(ca)) {
			l.fail(e.CAFile.line, "ca_file", "want certificates in PEM")
		}
	}
	if (e.CertFile.text == "") != (e.KeyFile.text == "") {
		l.fail(max(line, e.CertFile.line, e.KeyFile.line), "tls", "want both cert_file and key_file")
		return c
	}
	cert, key := l.file(e.CertFile, "cert_file"), l.file(e.KeyFile, "key_file")
	if cert == "" || key == "" {
		return c
	}
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		l.fail(e.CertFile.line, "cert_file", "want a certificate and its key in PEM")
		return c
	}
	c.Certificates = []tls.Certificate{pair}
	return c
}

// proxy returns the configured proxy or none; by default that of the environment.
func (l *loader) proxy(s scalar) func(*http.Request) (*url.URL, error) {
	switch s.text {
	case "":
		return nil
	case "none":
		return func(*http.Request) (*url.URL, error) { return nil, nil }
	}
	u, err := url.Parse(s.text)
	if err != nil || u.Host == "" || !slices.Contains([]string{"http", "https", "socks5"}, u.Scheme) {
		l.fail(s.line, "proxy", "want none, http://…, https://… or socks5://…")
		return nil
	}
	return http.ProxyURL(u)
}

// withoutPath returns an error without the path, which may be a secret by mistake.
func withoutPath(err error) error {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
