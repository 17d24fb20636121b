package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/exporter-toolkit/web"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"

	"github.com/ddltail/ddltail/internal/age"
	"github.com/ddltail/ddltail/internal/notification"
)

// maxLatencyTarget is the longest LATENCY_TARGET.
const maxLatencyTarget = 5 * time.Second

// webhookPrefix begins every secret of Standard Webhooks.
const webhookPrefix = "whsec_"

// Requirement is a variable that a command requires.
type Requirement struct {
	// Variable is its name without the prefix; Or is another that can be set in its place,
	// if not empty.
	Variable, Or string
	// Remedy is what to do if it is not set.
	Remedy string
}

// Load reads and checks the environment, including the required variables. The error is
// Errors, one for each invalid value. A START after now is an error.
func Load(now time.Time, required ...Requirement) (Config, error) {
	env, err := readEnvironment()
	if err != nil {
		return Config{}, fmt.Errorf("read the environment: %w", err)
	}
	c := checker{now: now}
	cfg := c.check(env)
	for _, r := range required {
		if env.value(r.Variable) == "" && (r.Or == "" || env.value(r.Or) == "") {
			c.errs = append(c.errs, &Error{Reason: prefix + r.Variable + " is not set", Remedy: r.Remedy})
		}
	}
	if len(c.errs) > 0 {
		// The errors are logged with the configured log settings.
		return Config{Log: cfg.Log}, c.errs
	}
	return cfg, nil
}

// checker converts values and collects the errors.
type checker struct {
	now  time.Time
	errs Errors
}

func (c *checker) fail(variable, format string, args ...any) {
	c.errs = append(c.errs, &Error{Reason: prefix + variable, Remedy: fmt.Sprintf(format, args...)})
}

// shown quotes a value for a message, unless it looks like one for another variable that may
// contain a credential.
func shown(value string) string {
	for _, mark := range []string{"@", "%40", "://", webhookPrefix} {
		if strings.Contains(value, mark) {
			return "(a value that may contain a credential)"
		}
	}
	return strconv.Quote(value)
}

func (c *checker) check(env environment) Config {
	cfg := Config{
		Unknown:           unknownVariables(),
		MongoDB:           c.uri("MONGODB_URI", c.secret("MONGODB_URI", env.MongoDBURI, env.MongoDBURIFile)),
		Source:            c.word("SOURCE", env.Source),
		Name:              c.word("NAME", env.Name),
		ReadPreference:    c.readPreference(env.ReadPreference),
		Namespaces:        list(env.Namespaces),
		ExcludeNamespaces: list(env.ExcludeNamespaces),
		Operations:        list(strings.ToUpper(env.Operations)),
		Start:             c.start(env.Start),
		Reconcile:         c.reconcile(env.Reconcile),
		HistoryTTL:        c.optionalDuration("HISTORY_TTL", env.HistoryTTL),
		Declared:          env.Declared,
		DriftSettle:       c.duration("DRIFT_SETTLE", env.DriftSettle),
		LatencyTarget:     c.latencyTarget(env.LatencyTarget),
		Actor:             c.actor(env),
		HTTPAddr:          c.httpAddress(env.HTTPAddr),
		ProbeAddr:         c.address("PROBE_ADDR", env.ProbeAddr),
		WebConfigFile:     c.webConfig(env.WebConfigFile),
		PProf:             c.oneOf("PPROF", env.PProf, "false", "true") == "true",
		BackendURL:        c.backend(env.BackendURL),
		ReceiversFile:     env.ReceiversFile,
		WebhookSecret:     c.webhookSecret(c.secret("WEBHOOK_SECRET", env.WebhookSecret, env.WebhookSecretFile)),
		CleanupAfter:      c.duration("CLEANUP_AFTER", env.CleanupAfter),
		PollInterval:      c.duration("POLL_INTERVAL", env.PollInterval),
		Log: Log{
			Level:  c.oneOf("LOG_LEVEL", env.LogLevel, "debug", "info", "warn", "error"),
			Format: c.oneOf("LOG_FORMAT", env.LogFormat, "", "json", "console"),
		},
	}
	cfg.Sinks, cfg.SinkValues = c.sinks(env.Sinks)
	cfg.Filter = c.filter(cfg)
	cfg.Sink = cfg.MongoDB
	if sink := c.secret("SINK_URI", env.SinkURI, env.SinkURIFile); sink != "" {
		cfg.Sink = c.uri("SINK_URI", sink)
	}
	cfg.UnknownOptions = unknownOptions(cfg.MongoDB, cfg.Sink)
	cfg.Database = c.database(env.Database, cfg)
	cfg.DatabaseNamed = env.Database != "" || cfg.Sink.database() != "" || cfg.MongoDB.database() != ""
	return cfg
}

// secret returns a value or the content of its file; a default value does not conflict with
// the file. An error does not show the path, which may be the secret itself.
func (c *checker) secret(variable, value, file string) string {
	if file == "" {
		return value
	}
	if strings.TrimSpace(os.Getenv(prefix+variable)) != "" {
		c.fail(variable+"_FILE", "%s is set too: unset one of them", prefix+variable)
	}
	content, err := os.ReadFile(file)
	text := strings.TrimSpace(string(content))
	if err != nil {
		if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
			err = pe.Err
		}
		c.fail(variable+"_FILE", "want the path of a file that can be read (%v)", err)
		return value
	}
	if text == "" {
		c.fail(variable+"_FILE", "the file is empty")
		return value
	}
	return text
}

// webConfig validates the whole file: otherwise an error in it would first appear at a
// request.
func (c *checker) webConfig(path string) string {
	err := web.Validate(path)
	if err == nil {
		return path
	}
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) && pe.Path == path {
		err = pe.Err
	}
	inBackticks := regexp.MustCompile("`[^`]*`")
	c.fail("WEB_CONFIG_FILE", "want a file in the Prometheus exporter toolkit's format (%s)",
		inBackticks.ReplaceAllString(err.Error(), "…"))
	return path
}

func (c *checker) uri(variable, raw string) URI {
	u, err := ParseURI(raw)
	if err != nil {
		var unreadable *FileError
		var unresolved *ResolutionError
		if errors.As(err, &unreadable) || errors.As(err, &unresolved) {
			c.errs = append(c.errs, &Error{Reason: prefix + variable, Remedy: err.Error(), Err: err})
			return u
		}
		c.fail(variable, "want mongodb[+srv]://[user:password@]host[:port][,…][/database][?options], "+
			"reserved characters in user and password percent-encoded (%v)", err)
	}
	return u
}

func reserved(db string) bool { return slices.Contains([]string{"admin", "config", "local"}, db) }

func (c *checker) database(name string, cfg Config) string {
	for _, candidate := range []string{name, cfg.Sink.database(), cfg.MongoDB.database(), "ddltail"} {
		if candidate == "" {
			continue
		}
		if reserved(candidate) {
			c.fail("DATABASE", "%s belongs to the server: name another database", shown(candidate))
		} else if len(candidate) > 63 || strings.ContainsAny(candidate, "/\\. \"$*<>:|?\x00") {
			c.fail("DATABASE", "%s is not a database name: want up to 63 bytes without /\\. \"$*<>:|?", shown(candidate))
		}
		return candidate
	}
	return ""
}

// ValidSource reports whether a set's name is valid as SOURCE.
func ValidSource(name string) bool {
	return regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`).MatchString(name)
}

func (c *checker) word(variable, value string) string {
	if value != "" && !ValidSource(value) {
		c.fail(variable, "%s: want 1 to 64 of A-Z a-z 0-9 . _ -", shown(value))
	}
	return value
}

func (c *checker) readPreference(value string) readpref.Mode {
	mode, err := readpref.ModeFromString(value)
	if err != nil {
		c.fail("READ_PREFERENCE", "%s: want primary, primaryPreferred, secondary, secondaryPreferred or nearest", shown(value))
	}
	return mode
}

// filter returns the filter of the three variables.
func (c *checker) filter(cfg Config) notification.Filter {
	rules := notification.Rules{Operations: cfg.Operations, Namespaces: slices.Clone(cfg.Namespaces)}
	for _, glob := range cfg.ExcludeNamespaces {
		rules.Namespaces = append(rules.Namespaces, "!"+glob)
	}
	filter, err := notification.NewFilter(rules)
	if wrong := (*notification.RuleError)(nil); errors.As(err, &wrong) {
		c.fail("OPERATIONS", "%s: want some of %v, or ! before one to exclude it", shown(wrong.Item), wrong.Want)
	}
	return filter
}

func (c *checker) start(value string) Start {
	switch value {
	case "now":
		return Start{}
	case "oldest":
		return Start{Oldest: true}
	}
	at, err := time.Parse(time.RFC3339, value)
	if err != nil {
		c.fail("START", "%s: want now, oldest, or a time such as %s", shown(value), c.now.UTC().Format(time.RFC3339))
	} else if at.After(c.now) {
		c.fail("START", "%s is in the future", value)
	}
	if epoch := time.Unix(0, 0); at.Before(epoch) {
		// The zero time means now; no oplog begins before the epoch.
		at = epoch
	}
	return Start{At: at}
}

func (c *checker) reconcile(value string) Reconcile {
	switch value {
	case "gap":
		return Reconcile{}
	case "start":
		return Reconcile{AtStart: true}
	}
	every, err := time.ParseDuration(value)
	if err != nil || every <= 0 {
		c.fail("RECONCILE", "%s: want gap, start, or an interval such as 24h", shown(value))
	}
	return Reconcile{Every: every}
}

// httpAddress accepts a Unix socket too.
func (c *checker) httpAddress(value string) string {
	path, isUnix := strings.CutPrefix(value, "unix:")
	if !isUnix {
		return c.address("HTTP_ADDR", value)
	}
	if path == "" || len(path) > maxSocketPath {
		c.fail("HTTP_ADDR", "%s: want unix:PATH, the path at most %d bytes long", shown(value), maxSocketPath)
	}
	return value
}

func (c *checker) address(variable, value string) string {
	if value == "" {
		return ""
	}
	_, port, err := net.SplitHostPort(value)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		c.fail(variable, "%s: want host:port or :port", shown(value))
	}
	return value
}

func (c *checker) backend(value string) string {
	u, err := url.Parse(value)
	if value != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		c.fail("BACKEND_URL", "want http://… or https://…")
	}
	return value
}

func (c *checker) webhookSecret(value string) string {
	if value == "" {
		return ""
	}
	encoded, ok := strings.CutPrefix(value, webhookPrefix)
	if key, err := base64.StdEncoding.DecodeString(encoded); !ok || err != nil || len(key) == 0 {
		c.fail("WEBHOOK_SECRET", "want whsec_ and the key in base64")
	}
	return value
}

func (c *checker) duration(variable, value string) time.Duration {
	d, err := age.Parse(value)
	if err != nil || d <= 0 {
		c.fail(variable, "%s: want a duration such as 90s, 24h or 30d", shown(value))
	}
	return d
}

func (c *checker) optionalDuration(variable, value string) time.Duration {
	if value == "" {
		return 0
	}
	return c.duration(variable, value)
}

// latencyTarget is bounded: between two reads the process must notice a shutdown and a
// stalled member.
func (c *checker) latencyTarget(value string) time.Duration {
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 || d > maxLatencyTarget {
		c.fail("LATENCY_TARGET", "%s: want a duration up to %s such as 50ms, or 0", shown(value), maxLatencyTarget)
	}
	return d
}

func (c *checker) oneOf(variable, value string, allowed ...string) string {
	if !slices.Contains(allowed, value) {
		c.fail(variable, "%s: want one of %s", shown(value), strings.TrimPrefix(strings.Join(allowed, ", "), ", "))
	}
	return value
}

// maxSocketPath leaves room for the suffix that a socket has until its mode is set; the
// shortest limit of the platforms is 104 bytes.
const maxSocketPath = 90

// list splits at commas and drops empty items.
func list(value string) []string {
	var items []string
	for item := range strings.SplitSeq(value, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}
