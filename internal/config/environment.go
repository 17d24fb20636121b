package config

import (
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/kelseyhightower/envconfig"

	"github.com/ddltail/ddltail/internal/sink/registry"
)

// prefix begins the name of every variable.
const prefix = "DDLTAIL_"

// environment holds the value of each variable as text. envconfig stops at the first value
// that it cannot convert, and prints it. Load therefore converts and checks the values, and
// reports all errors together.
//
// The tags contain the full variable name: with a shorter one envconfig falls back to the
// name without the prefix.
type environment struct {
	MongoDBURI        string `envconfig:"DDLTAIL_MONGODB_URI" default:"mongodb://localhost:27017" desc:"the replica set to tail; its path names the database that holds the notifications, unless SINK_URI's does"`
	MongoDBURIFile    string `envconfig:"DDLTAIL_MONGODB_URI_FILE" desc:"a file that contains MONGODB_URI, such as a mounted secret"`
	SinkURI           string `envconfig:"DDLTAIL_SINK_URI" show:"= MONGODB_URI" desc:"the deployment that holds ddltail's own collections; its path, when set, names the database; may be a standalone server"`
	SinkURIFile       string `envconfig:"DDLTAIL_SINK_URI_FILE" desc:"a file that contains SINK_URI"`
	Database          string `envconfig:"DDLTAIL_DATABASE" show:"the path of SINK_URI, else of MONGODB_URI, else ddltail" desc:"the database of schema_notifications, schema_history, schema_catalog, schema_checkpoints and schema_actors; not admin, config or local"`
	Source            string `envconfig:"DDLTAIL_SOURCE" for:"run status history redeliver" show:"the set's name" desc:"first part of every _id, 1 to 64 of A-Za-z0-9._-; set it if two sets with the same name share a sink"`
	Name              string `envconfig:"DDLTAIL_NAME" for:"run status" default:"default" desc:"one checkpoint per SOURCE and NAME; detectors with the same NAME are replicas and must have equal filters and sinks; use another NAME for other filters or sinks, in another DATABASE if both have the sink mongodb"`
	ReadPreference    string `envconfig:"DDLTAIL_READ_PREFERENCE" for:"run status" default:"primaryPreferred" desc:"which member to tail: primary, primaryPreferred, secondary, secondaryPreferred or nearest; one member is pinned for the life of a cursor"`
	Namespaces        string `envconfig:"DDLTAIL_NAMESPACES" for:"run" show:"all" desc:"comma-separated globs on db.collection, * matches any characters, including dots; a rename matches by either name, DROP_DATABASE as db.; a leading ! excludes"`
	ExcludeNamespaces string `envconfig:"DDLTAIL_EXCLUDE_NAMESPACES" for:"run" show:"none" desc:"namespaces to exclude; same syntax"`
	Operations        string `envconfig:"DDLTAIL_OPERATIONS" for:"run" show:"all" desc:"comma-separated operations to report, * and a leading ! as in NAMESPACES; filters decide what queue, stdout and file get, the history is complete; HISTORY_GAP and UNKNOWN_COMMAND pass unless excluded by name"`
	Start             string `envconfig:"DDLTAIL_START" for:"run" default:"now" desc:"where a first run begins: now, oldest, or an RFC 3339 time; later runs begin at the checkpoint"`
	Reconcile         string `envconfig:"DDLTAIL_RECONCILE" for:"run" default:"gap" desc:"when the known catalog is compared with the server's: gap, start, or an interval such as 24h"`
	Sinks             string `envconfig:"DDLTAIL_SINKS" for:"run status" default:"mongodb" desc:"comma-separated, each kind[:target][?key=value&…], reserved characters percent-encoded"`
	HistoryTTL        string `envconfig:"DDLTAIL_HISTORY_TTL" for:"run status" show:"never" desc:"run: age at which history is deleted, such as 365d; what history --as-of needs for later times is kept; needs the privilege remove"`
	Actor             string `envconfig:"DDLTAIL_ACTOR" for:"run status" default:"off" desc:"run: where the user of a change is looked up: off, or comma-separated getlog (the members' logs by command) and file:PATH (the log of a member on this host, or a container's captured output); see actor.md for the privileges"`
	ActorWait         string `envconfig:"DDLTAIL_ACTOR_WAIT" for:"run status" default:"300ms" desc:"run: longest time that a batch waits for the actors of its changes before it is written, only while a working source can have one; 0 does not wait; actors found later are stored in schema_actors"`
	ActorFields       string `envconfig:"DDLTAIL_ACTOR_FIELDS" for:"run status" default:"user,app,driver,mechanism" desc:"run: which fields of an actor are stored: user, app, driver, client (an address, personal data in most places), mechanism"`
	Declared          string `envconfig:"DDLTAIL_DECLARED" for:"run" show:"none" desc:"run: a declared schema (a file or a folder, see docs/drift.md) to compare with; reloaded when it changes"`
	DriftSettle       string `envconfig:"DDLTAIL_DRIFT_SETTLE" for:"run" default:"1m" desc:"run: how long a difference must last, in oplog time, before it counts as drift"`
	LatencyTarget     string `envconfig:"DDLTAIL_LATENCY_TARGET" for:"run" default:"50ms" desc:"run: how much later a change may be read to reduce the server's load: under heavy writes the oplog is polled at intervals of four fifths of this time, otherwise a change is read at once; up to 5s; 0 disables polling"`
	HTTPAddr          string `envconfig:"DDLTAIL_HTTP_ADDR" for:"run listen" show:"run :9797, listen :9798" desc:"/metrics, /healthz, /readyz and /; host:port, or unix:PATH for a Unix socket (mode 0660)"`
	WebConfigFile     string `envconfig:"DDLTAIL_WEB_CONFIG_FILE" for:"run listen" show:"none" desc:"TLS and basic auth for HTTP_ADDR, in the Prometheus exporter toolkit's format"`
	ProbeAddr         string `envconfig:"DDLTAIL_PROBE_ADDR" for:"run listen" show:"none" desc:"only /healthz and /readyz, plain HTTP without authentication, for probes; /readyz shows only ok or not ready"`
	PProf             string `envconfig:"DDLTAIL_PPROF" for:"run listen" default:"false" desc:"true serves Go's profiles at /debug/pprof/ of HTTP_ADDR; they show memory contents, so set a password in WEB_CONFIG_FILE"`
	BackendURL        string `envconfig:"DDLTAIL_BACKEND_URL" for:"listen" show:"CODEFLOW_BACKEND_URL" desc:"listen: the URL to which each notification is POSTed, used as given"`
	ReceiversFile     string `envconfig:"DDLTAIL_RECEIVERS_FILE" for:"listen receivers" show:"none" desc:"listen: a YAML file of receivers for chat, pagers and webhooks, see docs/receivers.md"`
	WebhookSecret     string `envconfig:"DDLTAIL_WEBHOOK_SECRET" for:"listen" show:"none" desc:"listen: whsec_…, signs each request (Standard Webhooks headers)"`
	WebhookSecretFile string `envconfig:"DDLTAIL_WEBHOOK_SECRET_FILE" for:"listen" desc:"a file that contains WEBHOOK_SECRET"`
	CleanupAfter      string `envconfig:"DDLTAIL_CLEANUP_AFTER" for:"listen" default:"24h" desc:"listen: age at which processed notifications are removed"`
	PollInterval      string `envconfig:"DDLTAIL_POLL_INTERVAL" for:"listen" default:"1s" desc:"listen: interval of polling where change streams are not available"`
	LogLevel          string `envconfig:"DDLTAIL_LOG_LEVEL" default:"info" desc:"debug, info, warn or error"`
	LogFormat         string `envconfig:"DDLTAIL_LOG_FORMAT" show:"console on a terminal, else json" desc:"json or console"`
}

// readEnvironment reads the variables. An empty one counts as unset: a compose file sets
// variables that it passes on but does not have to the empty string.
func readEnvironment() (environment, error) {
	var env environment
	if err := envconfig.Process("", &env); err != nil {
		return environment{}, err
	}
	v := reflect.ValueOf(&env).Elem()
	for i := range v.NumField() {
		text := strings.TrimSpace(v.Field(i).String())
		if text == "" {
			text = v.Type().Field(i).Tag.Get("default")
		}
		v.Field(i).SetString(text)
	}
	if env.BackendURL == "" {
		env.BackendURL = strings.TrimSpace(os.Getenv("CODEFLOW_BACKEND_URL"))
	}
	return env, nil
}

// value returns the value of a variable, by its name without the prefix.
func (e environment) value(variable string) string {
	v := reflect.ValueOf(e)
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("envconfig") == prefix+variable {
			return v.Field(i).String()
		}
	}
	return ""
}

// unknownVariables lists variables with the prefix that ddltail does not read: probably
// typing errors, or variables that Kubernetes sets for a service named ddltail.
func unknownVariables() []string {
	known := Variables()
	var unknown []string
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, prefix) && !slices.ContainsFunc(known, func(v Variable) bool { return v.Name == name }) {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

// Variable is one line of the configuration's documentation.
type Variable struct {
	Name, Default, Description string
	// commands are those that read the variable; empty means all.
	commands []string
}

// Concerns reports whether a command reads the variable.
func (v Variable) Concerns(command string) bool {
	return len(v.commands) == 0 || slices.Contains(v.commands, command)
}

// Variables lists all variables, for the documentation.
func Variables() []Variable {
	t := reflect.TypeFor[environment]()
	vars := make([]Variable, 0, t.NumField())
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		def := tag.Get("default")
		if def == "" {
			def = tag.Get("show")
		}
		desc := tag.Get("desc")
		if t.Field(i).Name == "Sinks" {
			desc += ": " + registry.Kinds().Summary()
		}
		vars = append(vars, Variable{Name: tag.Get("envconfig"), Default: def, Description: desc, commands: strings.Fields(tag.Get("for"))})
	}
	return append(vars, sinkVariables()...)
}

// sinkVariables lists the variables that the kinds of sinks declare.
func sinkVariables() []Variable {
	var vars []Variable
	for _, v := range registry.Kinds().Variables() {
		vars = append(vars, Variable{Name: prefix + v.Name, Default: v.Default, Description: v.Description, commands: []string{"run"}})
	}
	return vars
}
