package receivers

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/delivery"
)

// variable names the file in messages; its path is not shown.
const variable = "DDLTAIL_RECEIVERS_FILE"

// Defaults.
const (
	chatDigest          = 30 * time.Second
	defaultGiveUp       = 24 * time.Hour
	defaultResolveAfter = time.Hour
)

// Load reads the receivers of a file. The error is config.Errors, one for each invalid value, with
// its line. Errors do not contain URLs, headers or the content of files named in the file.
func Load(path, agent string) ([]Receiver, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, config.Errors{{Reason: variable, Remedy: fmt.Sprintf("want the path of a file that can be read (%v)", withoutPath(err))}}
	}
	return read(text, filepath.Dir(path), agent)
}

// read decodes and checks the text of a file; relative paths in it begin at folder.
func read(text []byte, folder, agent string) ([]Receiver, error) {
	var f struct {
		Receivers []entry `yaml:"receivers"`
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	err := dec.Decode(&f)
	if err == nil && !errors.Is(dec.Decode(new(yaml.Node)), io.EOF) {
		err = errors.New("want one YAML document")
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, syntaxErrors(err)
	}
	l := loader{folder: folder, agent: agent}
	if len(f.Receivers) == 0 {
		l.fail(1, "receivers", "want a list of at least one receiver")
	}
	var all []Receiver
	for _, e := range f.Receivers {
		all = append(all, l.receiver(e, all))
	}
	if len(l.errs) > 0 {
		return nil, l.errs
	}
	return all, nil
}

// syntaxErrors converts the errors of the decoder, without the values in them.
func syntaxErrors(err error) config.Errors {
	lines := []string{err.Error()}
	if several := (*yaml.TypeError)(nil); errors.As(err, &several) {
		lines = several.Errors
	}
	unknown := regexp.MustCompile(`field (\S+) not found in type \S+`)
	value := regexp.MustCompile("`[^`]*`")
	goType := regexp.MustCompile(` into \S+$`)
	var out config.Errors
	for _, line := range lines {
		line = strings.TrimPrefix(line, "yaml: ")
		line = unknown.ReplaceAllStringFunc(line, func(text string) string {
			return "unknown key " + shown(unknown.FindStringSubmatch(text)[1])
		})
		line = goType.ReplaceAllString(value.ReplaceAllString(line, "the value"), "")
		out = append(out, &config.Error{Reason: variable, Remedy: line})
	}
	return out
}

// shown quotes a word of the file, unless it may contain a credential.
func shown(word string) string {
	if strings.ContainsAny(word, "@/%") || len(word) > 40 {
		return "(a value that may contain a credential)"
	}
	return strconv.Quote(word)
}

// loader checks entries and collects the errors.
type loader struct {
	folder, agent string
	errs          config.Errors
}

func (l *loader) fail(line int, key, format string, args ...any) {
	l.errs = append(l.errs, &config.Error{
		Reason: fmt.Sprintf("%s: line %d: %s", variable, line, key), Remedy: fmt.Sprintf(format, args...),
	})
}

func (l *loader) receiver(e entry, before []Receiver) Receiver {
	line := e.Name.line
	r := Receiver{
		Name: l.name(e.Name, before), Filter: l.filter(e.Filter), GiveUpAfter: l.duration(e.GiveUpAfter, "give_up_after", defaultGiveUp, "never"),
	}
	t := l.target(e)
	r.template = t.template
	r.Digest = l.duration(e.Digest, "digest", t.digest, "0", "0s")
	r.Rate = l.rate(e.Rate, t.rate)
	address := l.text(e.URL, e.URLFile, "url")
	if address == "" {
		address = t.url
	}
	if address == "" {
		if e.URL.text == "" && e.URLFile.text == "" {
			l.fail(line, "url", "%s needs url or url_file", shown(r.Name))
		}
		return r
	}
	backend, err := delivery.New(address, delivery.Options{
		Agent: l.agent, Secret: l.secret(e.SecretFile), Headers: l.headers(line, e.Headers), TLS: l.tls(line, e.TLS), Proxy: l.proxy(e.Proxy),
	})
	if err != nil {
		l.fail(max(line, e.URL.line), "url", "%v", err)
		return r
	}
	r.backend = backend
	return r
}

func (l *loader) name(s scalar, before []Receiver) string {
	switch {
	case !regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`).MatchString(s.text):
		l.fail(max(s.line, 1), "name", "want 1 to 64 of A-Z a-z 0-9 _ -")
	case s.text == reserved || s.text == "stdout":
		l.fail(s.line, "name", "%q is the receiver of DDLTAIL_BACKEND_URL or of --stdout", s.text)
	case slices.ContainsFunc(before, func(r Receiver) bool { return r.Name == s.text }):
		l.fail(s.line, "name", "%q occurs twice", s.text)
	}
	return s.text
}

// target has the properties that depend on the template.
type target struct {
	template template
	digest   time.Duration
	rate     Rate
	url      string
}

// Templates are the names of the built-in templates.
func Templates() []string {
	return []string{"json", "cloudevents", "slack", "teams", "alertmanager", "pagerduty"}
}

func (l *loader) target(e entry) target {
	// Slack accepts one message a second, PagerDuty 120 events a minute; the limit of a
	// Teams workflow depends on its plan.
	second := Rate{Messages: 1, Per: time.Second}
	name := e.Template.text
	if name != "alertmanager" && e.ResolveAfter.text != "" {
		l.fail(e.ResolveAfter.line, "resolve_after", "only with template: alertmanager")
	}
	if name != "pagerduty" && e.RoutingKey.text != "" {
		l.fail(e.RoutingKey.line, "routing_key_file", "only with template: pagerduty")
	}
	switch name {
	case "", "json":
		return target{template: document{}}
	case "cloudevents":
		return target{template: cloudEvent{}}
	case "slack":
		return target{template: slack{}, digest: chatDigest, rate: second}
	case "teams":
		return target{template: teams{}, digest: chatDigest, rate: second}
	case "alertmanager":
		after := l.duration(e.ResolveAfter, "resolve_after", defaultResolveAfter)
		return target{template: alertmanager{resolveAfter: after, now: time.Now}}
	case "pagerduty":
		if e.RoutingKey.text == "" {
			l.fail(e.Template.line, "routing_key_file", "pagerduty needs a file that contains the integration key")
		}
		return target{
			template: pagerDuty{routingKey: l.file(e.RoutingKey, "routing_key_file")},
			rate:     Rate{Messages: 120, Per: time.Minute}, url: pagerDutyURL,
		}
	}
	if _, isFile := kindOf(name); !isFile {
		l.fail(e.Template.line, "template", "%s: want one of %s, or a file that ends in .json, .json.tmpl, .txt or .txt.tmpl",
			shown(name), strings.Join(Templates(), ", "))
		return target{}
	}
	f, err := readTemplate(l.path(name))
	if err != nil {
		l.fail(e.Template.line, "template", "%v", err)
	}
	return target{template: f}
}
