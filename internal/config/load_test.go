package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo/readpref"

	"github.com/ddltail/ddltail/internal/actor"
	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/sink"
	"github.com/ddltail/ddltail/internal/sink/registry"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// load reads a configuration of these variables ("NAME=value", the prefix left
// out) and no others.
func load(t *testing.T, variables ...string) (config.Config, error) {
	t.Helper()
	t.Setenv("CODEFLOW_BACKEND_URL", "")
	for _, v := range config.Variables() {
		t.Setenv(v.Name, "")
	}
	for _, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv("DDLTAIL_"+name, value)
	}
	return config.Load(now)
}

func mustLoad(t *testing.T, variables ...string) config.Config {
	t.Helper()
	cfg, err := load(t, variables...)
	if err != nil {
		t.Fatalf("%q: %v", variables, err)
	}
	return cfg
}

func TestDefaults(t *testing.T) {
	cfg := mustLoad(t)
	if got := cfg.MongoDB.String(); got != "mongodb://localhost:27017" {
		t.Errorf("MongoDB is %s", got)
	}
	if got := cfg.Sink.String(); got != "mongodb://localhost:27017" {
		t.Errorf("Sink is %s", got)
	}
	cfg.MongoDB, cfg.Sink, cfg.SinkValues = config.URI{}, config.URI{}, nil
	want := config.Config{
		Database: "ddltail", Name: "default", ReadPreference: readpref.PrimaryPreferredMode,
		Sinks:        []sink.Spec{{Text: "mongodb", Kind: "mongodb", Name: "mongodb"}},
		CleanupAfter: 24 * time.Hour, PollInterval: time.Second, DriftSettle: time.Minute, LatencyTarget: 50 * time.Millisecond,
		Actor: config.Actor{Wait: 300 * time.Millisecond, Fields: []actor.Field{actor.FieldUser, actor.FieldApp, actor.FieldDriver, actor.FieldMechanism}},
		Log:   config.Log{Level: "info"},
	}
	if !reflect.DeepEqual(cfg, want) {
		t.Errorf("got %+v\nwant %+v", cfg, want)
	}
}

// TestBlankIsDefault returns every variable a value of spaces.
func TestBlankIsDefault(t *testing.T) {
	var blank []string
	for _, v := range config.Variables() {
		blank = append(blank, strings.TrimPrefix(v.Name, "DDLTAIL_")+"=  ")
	}
	if got, want := mustLoad(t, blank...), mustLoad(t); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestGoodValues(t *testing.T) {
	for _, c := range []struct {
		variable string
		get      func(config.Config) any
		want     any
	}{
		{"DATABASE=audit", func(c config.Config) any { return c.Database }, "audit"},
		{"SOURCE=a.B-9_", func(c config.Config) any { return c.Source }, "a.B-9_"},
		{"NAME=" + strings.Repeat("n", 64), func(c config.Config) any { return c.Name }, strings.Repeat("n", 64)},
		{"READ_PREFERENCE=nearest", func(c config.Config) any { return c.ReadPreference }, readpref.NearestMode},
		{"READ_PREFERENCE=secondaryPreferred", func(c config.Config) any { return c.ReadPreference }, readpref.SecondaryPreferredMode},
		{"NAMESPACES= a.*, b.c ,,", func(c config.Config) any { return c.Namespaces }, []string{"a.*", "b.c"}},
		{"EXCLUDE_NAMESPACES=*.tmp", func(c config.Config) any { return c.ExcludeNamespaces }, []string{"*.tmp"}},
		{"OPERATIONS=create_index,DROP_COLLECTION", func(c config.Config) any { return c.Operations },
			[]string{"CREATE_INDEX", "DROP_COLLECTION"}},
		{"START=now", func(c config.Config) any { return c.Start }, config.Start{}},
		{"START=oldest", func(c config.Config) any { return c.Start }, config.Start{Oldest: true}},
		{"START=2026-03-01T13:00:00+01:00", func(c config.Config) any { return c.Start.At.Equal(now) }, true},
		{"START=0001-01-01T00:00:00Z", func(c config.Config) any { return c.Start.At.IsZero() }, false},
		{"RECONCILE=gap", func(c config.Config) any { return c.Reconcile }, config.Reconcile{}},
		{"RECONCILE=start", func(c config.Config) any { return c.Reconcile }, config.Reconcile{AtStart: true}},
		{"RECONCILE=24h", func(c config.Config) any { return c.Reconcile }, config.Reconcile{Every: 24 * time.Hour}},
		{"SINKS=history, stdout,file:/a:b,stdout", func(c config.Config) any { return c.Sinks }, []sink.Spec{
			{Text: "history", Kind: "history", Name: "history"}, {Text: "stdout", Kind: "stdout", Name: "stdout"},
			{Text: "file:/a:b", Kind: "file", Target: "/a:b", Name: "file"}}},
		{"HTTP_ADDR=[::1]:0", func(c config.Config) any { return c.HTTPAddr }, "[::1]:0"},
		{"HTTP_ADDR=unix:/run/ddltail/http.sock", func(c config.Config) any { return c.HTTPAddr }, "unix:/run/ddltail/http.sock"},
		{"PPROF=true", func(c config.Config) any { return c.PProf }, true},
		{"PPROF=", func(c config.Config) any { return c.PProf }, false},
		{"BACKEND_URL=https://host/path?q", func(c config.Config) any { return c.BackendURL }, "https://host/path?q"},
		{"WEBHOOK_SECRET=whsec_c2VjcmV0", func(c config.Config) any { return c.WebhookSecret }, "whsec_c2VjcmV0"},
		{"CLEANUP_AFTER=90m", func(c config.Config) any { return c.CleanupAfter }, 90 * time.Minute},
		{"DECLARED=/etc/schema", func(c config.Config) any { return c.Declared }, "/etc/schema"},
		{"LATENCY_TARGET=0", func(c config.Config) any { return c.LatencyTarget }, time.Duration(0)},
		{"LATENCY_TARGET=5s", func(c config.Config) any { return c.LatencyTarget }, 5 * time.Second},
		{"DRIFT_SETTLE=30s", func(c config.Config) any { return c.DriftSettle }, 30 * time.Second},
		{"HISTORY_TTL=8760h", func(c config.Config) any { return c.HistoryTTL }, 8760 * time.Hour},
		{"HISTORY_TTL=", func(c config.Config) any { return c.HistoryTTL }, time.Duration(0)},
		{"ACTOR=off", func(c config.Config) any { return c.Actor.On() }, false},
		{"ACTOR=getlog, file:/var/log/a:b.log,file:c", func(c config.Config) any { return []any{c.Actor.GetLog, c.Actor.Files} }, []any{true, []string{"/var/log/a:b.log", "c"}}},
		{"ACTOR_WAIT=0", func(c config.Config) any { return c.Actor.Wait }, time.Duration(0)},
		{"ACTOR_FIELDS=user,client", func(c config.Config) any { return c.Actor.Fields }, []actor.Field{actor.FieldUser, actor.FieldClient}},
		{"POLL_INTERVAL=250ms", func(c config.Config) any { return c.PollInterval }, 250 * time.Millisecond},
		{"LOG_LEVEL=debug", func(c config.Config) any { return c.Log.Level }, "debug"},
		{"LOG_FORMAT=console", func(c config.Config) any { return c.Log.Format }, "console"},
		{"SINCE=1", func(c config.Config) any { return c.Unknown }, []string{"DDLTAIL_SINCE"}},
	} {
		t.Run(c.variable, func(t *testing.T) {
			if got := c.get(mustLoad(t, c.variable)); !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// bad returns for every variable but those two that take anything values that mean
// nothing.
func bad() map[string][]string {
	return map[string][]string{
		"NAMESPACES":         nil,
		"EXCLUDE_NAMESPACES": nil,
		"RECEIVERS_FILE":     nil, // read by internal/receivers

		"MONGODB_URI":      {"localhost:27017", "http://h", "mongodb://", "mongodb://h:0", "mongodb://h/?w=-1", "mongodb://h/?tlsCAFile=/no/such", "mongodb://h?w=1"},
		"SINK_URI":         {"localhost", "mongodb://h:70000"},
		"DATABASE":         {"admin", "config", "local", "a.b", "a b", "a$b", "a/b", strings.Repeat("d", 64)},
		"SOURCE":           {"a b", "a:b", "ä", strings.Repeat("s", 65)},
		"NAME":             {"a:b", "*"},
		"READ_PREFERENCE":  {"best", "primary,secondary"},
		"OPERATIONS":       {"CREATE_TABLE", "CREATE_INDEX,DROP_TABLE"},
		"START":            {"yesterday", "2026-03-01", "2026-03-01T12:00:01Z"},
		"RECONCILE":        {"never", "0s", "-1h", "24"},
		"SINKS":            {",", "kafka", "kafka:", "nats:", "file", "file:", "stdout,mongo", "mongodb:x", "stdout?color=red"},
		"HTTP_ADDR":        {"9797", "host", "host:http", "host:70000", "unix:", "unix:/" + strings.Repeat("d", 90)},
		"PPROF":            {"on", "TRUE", "1"},
		"PROBE_ADDR":       {"9799", "host", "unix:/run/probe"},
		"WEB_CONFIG_FILE":  {"/no/such/file"},
		"BACKEND_URL":      {"host/path", "ftp://host", "http://", "http:///path", "http://a b"},
		"WEBHOOK_SECRET":   {"secret", "whsec_", "whsec_!"},
		"CLEANUP_AFTER":    {"1", "0", "-1h", "0d", "1d2h"},
		"POLL_INTERVAL":    {"often", "0s"},
		"DECLARED":         nil, // `run` reads it
		"LATENCY_TARGET":   {"50", "-1ms", "5001ms", "soon"},
		"DRIFT_SETTLE":     {"soon", "0"},
		"HISTORY_TTL":      {"off", "0", "-1h", "30y"},
		"ACTOR":            {"on", "off,getlog", "file:", "profiler"},
		"ACTOR_WAIT":       {"1", "-1s", "soon"},
		"ACTOR_FIELDS":     {"name", "user,host"},
		"LOG_LEVEL":        {"loud", "INFO"},
		"LOG_FORMAT":       {"xml"},
		"MONGODB_URI_FILE": {"/no/such/file"},
		"SINK_URI_FILE":    {"/no/such/file", "/dev/null"},

		"WEBHOOK_SECRET_FILE": {"/no/such/file"},
	}
}

// ofSinks are the variables of sinks: each kind tests its own.
func ofSinks() []string {
	var names []string
	for _, v := range registry.Kinds().Variables() {
		names = append(names, v.Name)
	}
	return names
}

func TestBadValues(t *testing.T) {
	for _, v := range config.Variables() {
		name := strings.TrimPrefix(v.Name, "DDLTAIL_")
		if slices.Contains(ofSinks(), name) {
			continue
		}
		values, ok := bad()[name]
		if !ok {
			t.Errorf("no bad value of %s is tried", name)
		}
		for _, value := range values {
			wantMistake(t, name, name+"="+value)
		}
	}
	wantMistake(t, "KAFKA_BROKERS", "SINKS=kafka:ddl", "KAFKA_BROKERS=localhost")
}

// wantMistake loads variables of which one has a mistake.
func wantMistake(t *testing.T, name string, variables ...string) {
	t.Helper()
	_, err := load(t, variables...)
	var all config.Errors
	if !errors.As(err, &all) || len(all) != 1 || !strings.Contains(err.Error(), "DDLTAIL_"+name+": ") {
		t.Errorf("%s: got %v, want one mistake with the name %s", variables, err, name)
	}
}

func TestAllMistakesAtOnce(t *testing.T) {
	var variables []string
	for name, values := range bad() {
		// A file replaces the variable itself.
		if len(values) > 0 && !strings.HasSuffix(name, "_URI_FILE") && !strings.HasSuffix(name, "_SECRET_FILE") {
			variables = append(variables, name+"="+values[0])
		}
	}
	_, err := load(t, variables...)
	var all config.Errors
	if !errors.As(err, &all) || len(all) != len(variables) {
		t.Fatalf("%d mistakes, want %d: %v", len(all), len(variables), err)
	}
	for _, v := range variables {
		name, _, _ := strings.Cut(v, "=")
		if !strings.Contains(err.Error(), "DDLTAIL_"+name+": ") {
			t.Errorf("%s is not reported in %v", name, err)
		}
	}
}

func TestSecretsFromFiles(t *testing.T) {
	file := func(content string) string {
		path := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cfg := mustLoad(t, "MONGODB_URI_FILE="+file("mongodb://u:p@a:1/\n"), "SINK_URI_FILE="+file(" mongodb://b:2/audit"),
		"WEBHOOK_SECRET_FILE="+file("whsec_c2VjcmV0\r\n"))
	if got := []string{cfg.MongoDB.String(), cfg.Sink.String(), cfg.Database, cfg.WebhookSecret}; !reflect.DeepEqual(got,
		[]string{"mongodb://a:1", "mongodb://b:2/audit", "audit", "whsec_c2VjcmV0"}) {
		t.Errorf("got %q", got)
	}
	if _, err := load(t, "SINK_URI_FILE="+file("\n")); err == nil || !strings.Contains(err.Error(), "DDLTAIL_SINK_URI_FILE: the file is empty") {
		t.Errorf("an empty file: %v", err)
	}
}

// TestSetTwice: a value and its file are a mistake, whichever was meant. The default is none.
func TestSetTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	for name, value := range map[string]string{"MONGODB_URI": "mongodb://a:1", "SINK_URI": "mongodb://b:2", "WEBHOOK_SECRET": "whsec_c2VjcmV0"} {
		if err := os.WriteFile(path, []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := load(t, name+"="+value, name+"_FILE="+path)
		if want := "DDLTAIL_" + name + "_FILE: DDLTAIL_" + name + " is set too: unset one of them"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestAges(t *testing.T) {
	cfg := mustLoad(t, "HISTORY_TTL=30d", "CLEANUP_AFTER=1w")
	if cfg.HistoryTTL != 30*24*time.Hour || cfg.CleanupAfter != 7*24*time.Hour {
		t.Errorf("got %s and %s", cfg.HistoryTTL, cfg.CleanupAfter)
	}
}

func TestURIHints(t *testing.T) {
	for uri, want := range map[string][]string{
		"localhost:1":                                         {"mongodb[+srv]://"},
		"mongodb://h/?tls=true&tlsCAFile=/no/ca":              {"the file /no/ca of the option tlsCAFile cannot be read: no such file or directory"},
		"mongodb://h/?tls=true&tlsCertificateKeyFile=/no/key": {"/no/key", "tlsCertificateKeyFile"},
		"mongodb+srv://no-such-host.invalid/":                 {"look up", "no-such-host.invalid"},
	} {
		_, err := load(t, "MONGODB_URI="+uri)
		for _, w := range want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%s: no %q in %v", uri, w, err)
			}
		}
		if waits := config.OnlyUnresolved(err); waits != strings.Contains(uri, "+srv") {
			t.Errorf("%s: waiting may resolve it: %t", uri, waits)
		}
	}
	cfg := mustLoad(t, "MONGODB_URI=mongodb://h/?retryWrits=false&w=1", "SINK_URI=mongodb://h/?nosuch=x")
	if !reflect.DeepEqual(cfg.UnknownOptions, []string{"nosuch", "retrywrits"}) {
		t.Errorf("unknown options %q", cfg.UnknownOptions)
	}
}

func TestBackendURLFallback(t *testing.T) {
	for _, v := range config.Variables() {
		t.Setenv(v.Name, "")
	}
	t.Setenv("CODEFLOW_BACKEND_URL", "http://fallback")
	cfg, err := config.Load(now)
	if err != nil || cfg.BackendURL != "http://fallback" {
		t.Errorf("got %q, %v", cfg.BackendURL, err)
	}
	t.Setenv("DDLTAIL_BACKEND_URL", "http://own")
	cfg, err = config.Load(now)
	if err != nil || cfg.BackendURL != "http://own" {
		t.Errorf("got %q, %v", cfg.BackendURL, err)
	}
	t.Setenv("BACKEND_URL", "http://not-asked-for")
	t.Setenv("DDLTAIL_BACKEND_URL", "")
	cfg, err = config.Load(now)
	if err != nil || cfg.BackendURL != "http://fallback" {
		t.Errorf("got %q, %v", cfg.BackendURL, err)
	}
}

func TestDatabase(t *testing.T) {
	for _, c := range []struct {
		want      string
		variables []string
	}{
		{"ddltail", []string{"MONGODB_URI=mongodb://h"}},
		{"banking_db", []string{"MONGODB_URI=mongodb://h/banking_db"}},
		{"ddltail", []string{"MONGODB_URI=mongodb://u:p@h/admin"}},
		{"audit", []string{"MONGODB_URI=mongodb://h/banking_db", "SINK_URI=mongodb://i/audit"}},
		{"banking_db", []string{"MONGODB_URI=mongodb://h/banking_db", "SINK_URI=mongodb://u:p@i/admin"}},
		{"named", []string{"MONGODB_URI=mongodb://h/banking_db", "SINK_URI=mongodb://i/audit", "DATABASE=named"}},
	} {
		if got := mustLoad(t, c.variables...).Database; got != c.want {
			t.Errorf("%q: got %q, want %q", c.variables, got, c.want)
		}
	}
	if _, err := load(t, "MONGODB_URI=mongodb://h/a.b"); err == nil || !strings.Contains(err.Error(), "DDLTAIL_DATABASE") {
		t.Errorf("a path that is no database name: %v", err)
	}
}
