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

// environment is the value of each variable, as text. envconfig stops at the
// first value it cannot convert and prints it, so it converts none: every value
// is checked in Load, and all mistakes are reported together.
//
// The tags hold the whole variable's name: from a part of it envconfig would fall
// back to the name without the prefix.
type environment struct {
	MongoDBURI        string `envconfig:"DDLTAIL_MONGODB_URI" default:"mongodb://localhost:27017" desc:"the replica set to tail; its path names the database that holds the notifications, unless SINK_URI's does"`
	MongoDBURIFile    string `envconfig:"DDLTAIL_MONGODB_URI_FILE" desc:"a file that holds MONGODB_URI, for secrets that are mounted"`
	SinkURI           string `envconfig:"DDLTAIL_SINK_URI" show:"= MONGODB_URI" desc:"the deployment that holds ddltail's own collections; its path, when set, names the database; a standalone server will do"`
	SinkURIFile       string `envconfig:"DDLTAIL_SINK_URI_FILE" desc:"a file that holds SINK_URI"`
	Database          string `envconfig:"DDLTAIL_DATABASE" show:"the path of SINK_URI, else of MONGODB_URI, else ddltail" desc:"the database of schema_notifications, schema_history, schema_catalog, schema_checkpoints and schema_actors; not admin, config or local"`
	Source            string `envconfig:"DDLTAIL_SOURCE" for:"run status history redeliver" show:"the set's name" desc:"first part of every _id, 1 to 64 of A-Za-z0-9._-; set it where two sets of one name share a sink"`
	Name              string `envconfig:"DDLTAIL_NAME" for:"run status" default:"default" desc:"one checkpoint per SOURCE and NAME; detectors of one name are one detector run several times and must have equal filters and sinks; another NAME for other filters or sinks, in another DATABASE if both have the sink mongodb"`
	ReadPreference    string `envconfig:"DDLTAIL_READ_PREFERENCE" for:"run status" default:"primaryPreferred" desc:"which member to tail: primary, primaryPreferred, secondary, secondaryPreferred or nearest; one member is pinned for the life of a cursor"`
	Namespaces        string `envconfig:"DDLTAIL_NAMESPACES" for:"run" show:"all" desc:"comma-separated globs on db.collection, * matches any characters, dots too; a rename matches by either name, DROP_DATABASE as db.; a leading ! excludes"`
	ExcludeNamespaces string `envconfig:"DDLTAIL_EXCLUDE_NAMESPACES" for:"run" show:"none" desc:"namespaces to exclude; same syntax"`
	Operations        string `envconfig:"DDLTAIL_OPERATIONS" for:"run" show:"all" desc:"comma-separated operations to report, * and a leading ! as in NAMESPACES; filters decide what queue, stdout and file get, the history is complete; HISTORY_GAP and UNKNOWN_COMMAND pass unless excluded by name"`
	Start             string `envconfig:"DDLTAIL_START" for:"run" default:"now" desc:"where a first run begins: now, oldest, or an RFC 3339 time; later runs begin at the checkpoint"`
	Reconcile         string `envconfig:"DDLTAIL_RECONCILE" for:"run" default:"gap" desc:"when the known catalog is compared with the server's: gap, start, or an interval such as 24h"`
	Sinks             string `envconfig:"DDLTAIL_SINKS" for:"run status" default:"mongodb" desc:"comma-separated, each kind[:target][?key=value&…], reserved characters percent-encoded"`
	HistoryTTL        string `envconfig:"DDLTAIL_HISTORY_TTL" for:"run status" show:"never" desc:"run: age at which history is deleted, such as 365d; what history --as-of needs for later times is kept; needs the right to remove"`
	Actor             string `envconfig:"DDLTAIL_ACTOR" for:"run status" default:"off" desc:"run: where to look for who made a change: off, or comma-separated getlog (the members' logs by command) and file:PATH (the log of a member on this host, or a container's captured output); see actor.md for the rights it needs"`
	ActorWait         string `envconfig:"DDLTAIL_ACTOR_WAIT" for:"run status" default:"300ms" desc:"run: how long a batch waits at most for the actors of its changes before it is written, only if a working source can have one; 0 never waits; what is found later is stored in schema_actors"`
	ActorFields       string `envconfig:"DDLTAIL_ACTOR_FIELDS" for:"run status" default:"user,app,driver,mechanism" desc:"run: what is stored of an actor: user, app, driver, client (an address, personal data in most places), mechanism"`
	Declared          string `envconfig:"DDLTAIL_DECLARED" for:"run" show:"none" desc:"run: a declared schema (a file or a folder, see docs/drift.md) to compare with; read again when it changes"`
	DriftSettle       string `envconfig:"DDLTAIL_DRIFT_SETTLE" for:"run" default:"1m" desc:"run: how long a difference must last, in the oplog's time, before it counts as drift"`
	LatencyTarget     string `envconfig:"DDLTAIL_LATENCY_TARGET" for:"run" default:"50ms" desc:"run: how much later a change may be read so that tailing costs less: while much is written, the oplog is read in intervals of most of this time, else at every write; up to 5s; 0 reads at every write"`
	HTTPAddr          string `envconfig:"DDLTAIL_HTTP_ADDR" for:"run listen" show:"run :9797, listen :9798" desc:"/metrics, /healthz, /readyz and /; host:port, or unix:PATH for a Unix socket (mode 0660)"`
	WebConfigFile     string `envconfig:"DDLTAIL_WEB_CONFIG_FILE" for:"run listen" show:"none" desc:"TLS and basic auth for it, in the Prometheus exporter toolkit's format"`
	ProbeAddr         string `envconfig:"DDLTAIL_PROBE_ADDR" for:"run listen" show:"none" desc:"only /healthz and /readyz, plain HTTP without authentication, for probes; /readyz says only ok or not ready"`
	PProf             string `envconfig:"DDLTAIL_PPROF" for:"run listen" default:"false" desc:"true serves Go's profiles at /debug/pprof/ of HTTP_ADDR; they show memory contents, so set a password in WEB_CONFIG_FILE"`
	BackendURL        string `envconfig:"DDLTAIL_BACKEND_URL" for:"listen" show:"CODEFLOW_BACKEND_URL" desc:"listen: where each notification is POSTed, the URL as given"`
	ReceiversFile     string `envconfig:"DDLTAIL_RECEIVERS_FILE" for:"listen receivers" show:"none" desc:"listen: a YAML file of receivers for chat, pagers and webhooks, see docs/receivers.md"`
	WebhookSecret     string `envconfig:"DDLTAIL_WEBHOOK_SECRET" for:"listen" show:"none" desc:"listen: whsec_…, signs each request (Standard Webhooks headers)"`
	WebhookSecretFile string `envconfig:"DDLTAIL_WEBHOOK_SECRET_FILE" for:"listen" desc:"a file that holds WEBHOOK_SECRET"`
	CleanupAfter      string `envconfig:"DDLTAIL_CLEANUP_AFTER" for:"listen" default:"24h" desc:"listen: age at which processed notifications go"`
	PollInterval      string `envconfig:"DDLTAIL_POLL_INTERVAL" for:"listen" default:"1s" desc:"listen: how often to look where there is no change stream"`
	LogLevel          string `envconfig:"DDLTAIL_LOG_LEVEL" default:"info" desc:"debug, info, warn or error"`
	LogFormat         string `envconfig:"DDLTAIL_LOG_FORMAT" show:"console on a terminal, else json" desc:"json or console"`
}

// readEnvironment takes the variables; an empty one counts as not set, as it
// comes from a compose file that passes on what it does not have.
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

// unknownVariables lists variables with the prefix that ddltail does not read: most
// likely a typing error, but also what Kubernetes sets for a service of this name.
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
	// commands are those that read it; none is all.
	commands []string
}

// Concerns reports whether a command reads the variable.
func (v Variable) Concerns(command string) bool {
	return len(v.commands) == 0 || slices.Contains(v.commands, command)
}

// Variables lists all that can be configured, for the README.
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
