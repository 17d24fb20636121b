package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"
)

// wantExit waits for the end of a process, and checks its exit code and that its short
// output contains the texts, without a stack trace.
func wantExit(t *testing.T, p *ddltailtest.Process, code int, said ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	got, err := p.Wait(ctx)
	if err != nil {
		t.Fatal(err)
	}
	text := p.Stderr()
	if got != code {
		t.Errorf("exit code %d, want %d:\n%s", got, code, text)
	}
	last := p.Failure()
	for _, want := range said {
		if !strings.Contains(last, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
	for _, never := range []string{"goroutine ", "s3cret", mongotest.RootPassword} {
		if strings.Contains(text+p.Stdout(), never) {
			t.Errorf("it says %q:\n%s", never, text)
		}
	}
}

func TestConfigurationMistakesAreReportedTogether(t *testing.T) {
	p := launch(t, []string{"run"},
		"DDLTAIL_MONGODB_URI=mongodb://user:s3cret@@host:1/", "DDLTAIL_DATABASE=admin", "DDLTAIL_SOURCE=a b",
		"DDLTAIL_OPERATIONS=CREATE_TABLE", "DDLTAIL_START=2999-01-01T00:00:00Z", "DDLTAIL_SINKS=kafka",
		"DDLTAIL_POLL_INTERVAL=-1s", "DDLTAIL_LOG_LEVEL=loud", "DDLTAIL_READ_PREFERENCE=best", "DDLTAIL_HTTP_ADDR=nowhere")
	wantExit(t, p, 2, "DDLTAIL_MONGODB_URI", "DDLTAIL_DATABASE", "DDLTAIL_SOURCE", "DDLTAIL_OPERATIONS", "DDLTAIL_START",
		"DDLTAIL_SINKS", "DDLTAIL_POLL_INTERVAL", "DDLTAIL_LOG_LEVEL", "DDLTAIL_READ_PREFERENCE", "DDLTAIL_HTTP_ADDR")
}

func TestWrongUsage(t *testing.T) {
	wantExit(t, launch(t, []string{"tail"}), 2, `unknown command "tail"`)
	wantExit(t, launch(t, []string{"run", "--fast"}), 2, "unknown flag: --fast")
}

func TestStandalone(t *testing.T) {
	t.Parallel()
	server := mongotest.NewStandalone(t, mongotest.Options{})
	wantExit(t, launch(t, []string{"run"}, "DDLTAIL_MONGODB_URI="+server.URI()), 2, "standalone", "rs.initiate()")
	asSet := "DDLTAIL_MONGODB_URI=" + strings.Replace(server.URI(), "/?", "/?replicaSet=rs0&", 1)
	wantExit(t, launch(t, []string{"run"}, asSet), 2, "standalone", "rs.initiate()")
	wantExit(t, launch(t, []string{"notify", "CREATE_COLLECTION", "payments"}, asSet), 2, "standalone", "replicaSet")
}

// TestTooOld needs a server that the driver no longer supports.
func TestTooOld(t *testing.T) {
	t.Parallel()
	server := mongotest.NewStandalone(t, mongotest.Options{Version: "4.2.6"})
	wantExit(t, launch(t, []string{"run"}, "DDLTAIL_MONGODB_URI="+server.URI()), 2, "older than 4.4")
	wantExit(t, launch(t, []string{"listen", "--stdout"}, "DDLTAIL_MONGODB_URI="+server.URI()), 2, "older than 4.4")
}

// TestUnreachable waits for the full minute, in parallel with other tests.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	began := time.Now()
	const uri = "DDLTAIL_MONGODB_URI=mongodb://user:s3cret@no-such-host.invalid:27017/?authSource=admin"
	p, notify := launch(t, []string{"run"}, uri), launch(t, []string{"notify", "CREATE_COLLECTION", "payments"}, uri)
	wantExit(t, p, 1, "no-such-host.invalid", "does not resolve")
	wantExit(t, notify, 1, "no-such-host.invalid", "does not resolve")
	if text := notify.Stderr(); strings.Contains(text, "topology") || strings.Count(text, `"msg":"waiting"`) != 1 {
		t.Errorf("the reason for waiting is not logged once:\n%s", text)
	}
	if took := time.Since(began); took < 50*time.Second {
		t.Errorf("gave up after %s, want a minute", took)
	}
}

func TestAuthentication(t *testing.T) {
	t.Parallel()
	auth := mongotest.NewReplicaSet(t, mongotest.Options{Auth: true})
	admin := mongotest.Connect(t, auth.URI()).Database("admin")
	everything := bson.D{{Key: "db", Value: ""}, {Key: "collection", Value: ""}}
	lists := bson.D{{Key: "createRole", Value: "lists"}, {Key: "roles", Value: bson.A{}}, {Key: "privileges", Value: bson.A{
		bson.D{{Key: "resource", Value: bson.D{{Key: "cluster", Value: true}}}, {Key: "actions", Value: bson.A{"listDatabases"}}},
		bson.D{{Key: "resource", Value: everything}, {Key: "actions", Value: bson.A{"listCollections", "listIndexes"}}},
	}}}
	if err := admin.RunCommand(t.Context(), lists).Err(); err != nil {
		t.Fatal(err)
	}
	for _, user := range []struct {
		name  string
		roles bson.A
	}{
		{"humble", bson.A{
			"lists", bson.D{{Key: "role", Value: "read"}, {Key: "db", Value: "local"}},
			bson.D{{Key: "role", Value: "readWrite"}, {Key: "db", Value: "ddltail"}},
		}},
		{"blind", bson.A{bson.D{{Key: "role", Value: "readWrite"}, {Key: "db", Value: "ddltail"}}}},
		{"unlisted", bson.A{
			bson.D{{Key: "role", Value: "read"}, {Key: "db", Value: "local"}},
			bson.D{{Key: "role", Value: "readWrite"}, {Key: "db", Value: "ddltail"}},
		}},
		{"mute", bson.A{bson.D{{Key: "role", Value: "read"}, {Key: "db", Value: "local"}}}},
	} {
		if err := admin.RunCommand(t.Context(), bson.D{{Key: "createUser", Value: user.name}, {Key: "pwd", Value: "s3cret"},
			{Key: "roles", Value: user.roles}}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("wrong password", func(t *testing.T) {
		p := launch(t, []string{"run"}, "DDLTAIL_MONGODB_URI="+auth.URIOf("blind", "s3cret-not", ""))
		wantExit(t, p, 2, "authentication failed")
	})
	t.Run("the path is the authSource", func(t *testing.T) {
		uri := strings.Replace(auth.URIOf("blind", "s3cret", "ddltail"), "authSource=admin", "appName=x", 1)
		wantExit(t, launch(t, []string{"run"}, "DDLTAIL_MONGODB_URI="+uri), 2, "authentication failed", "?authSource=admin")
	})
	t.Run("may not read the oplog", func(t *testing.T) {
		p := launch(t, []string{"run"}, "DDLTAIL_MONGODB_URI="+auth.URIOf("blind", "s3cret", ""))
		wantExit(t, p, 2, "{resource: {db: 'local', collection: 'oplog.rs'}, actions: ['find']}", "create-user.js")
	})
	t.Run("may not write", func(t *testing.T) {
		p := launch(t, []string{"run"}, "DDLTAIL_MONGODB_URI="+auth.URIOf("mute", "s3cret", ""))
		wantExit(t, p, 2, "{resource: {db: 'ddltail', collection: 'schema_checkpoints'}", "create-user.js", "grantRolesToUser")
	})
	t.Run("may not list", func(t *testing.T) {
		p := launch(t, []string{"run"}, "DDLTAIL_MONGODB_URI="+auth.URIOf("unlisted", "s3cret", ""))
		wantExit(t, p, 2, "{resource: {db: '', collection: ''}, actions: ['listCollections', 'listIndexes']}", "create-user.js")
	})
	t.Run("may not ask whether the set is a shard", func(t *testing.T) {
		p := launch(t, []string{"run"}, "DDLTAIL_MONGODB_URI="+auth.URIOf("humble", "s3cret", ""), "DDLTAIL_NAME=humble", "DDLTAIL_SINKS=stdout")
		if err := p.WaitReady(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := p.WaitLog(t.Context(), "{resource: {db: 'admin', collection: 'system.version'}, actions: ['find']}"); err != nil {
			t.Error(err)
		}
	})
	t.Run("root from a file", func(t *testing.T) {
		file := t.TempDir() + "/uri"
		if err := os.WriteFile(file, []byte(auth.URI()+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		p := launch(t, []string{"run"}, "DDLTAIL_MONGODB_URI_FILE="+file)
		if err := p.WaitReady(t.Context()); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(p.Stderr(), mongotest.RootPassword) {
			t.Errorf("the log holds the password:\n%s", p.Stderr())
		}
	})
}

// TestWaitsForAPrimary starts ddltail on a set that is initiated later.
func TestWaitsForAPrimary(t *testing.T) {
	t.Parallel()
	late := mongotest.NewReplicaSet(t, mongotest.Options{Uninitiated: true})
	p := launch(t, []string{"run"}, "DDLTAIL_MONGODB_URI="+late.URI())
	time.Sleep(3 * time.Second)
	if !strings.Contains(p.Stderr(), "not initiated") {
		t.Errorf("the reason for waiting is not logged:\n%s", p.Stderr())
	}
	if status, _, err := p.Get(t.Context(), "/healthz"); err != nil || status != http.StatusOK {
		t.Errorf("/healthz while waiting: %d, %v", status, err)
	}
	if status, _, err := p.Get(t.Context(), "/readyz"); err != nil || status != http.StatusServiceUnavailable {
		t.Errorf("/readyz while waiting: %d, %v", status, err)
	}
	if err := late.Initiate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestStopsInTime(t *testing.T) {
	s := newScene(t, "stop_db")
	p := s.start()
	began := time.Now()
	code, err := p.Stop(t.Context())
	if err != nil || code != 0 {
		t.Errorf("exit code %d, %v, want 0", code, err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %s to stop, want at most 5 s", took)
	}
}

// TestStopsWhileItWaits stops processes at several times while they wait for a server.
func TestStopsWhileItWaits(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"run", "listen --stdout"} {
		for _, after := range []time.Duration{500 * time.Millisecond, 4 * time.Second, 7 * time.Second} {
			t.Run(fmt.Sprint(command, " ", after), func(t *testing.T) {
				t.Parallel()
				p := launch(t, strings.Fields(command), "DDLTAIL_MONGODB_URI=mongodb://127.0.0.1:1/?replicaSet=rs0")
				time.Sleep(after)
				began := time.Now()
				code, err := p.Stop(t.Context())
				if took := time.Since(began); err != nil || code != 0 || took > 5*time.Second {
					t.Errorf("exit code %d, %v, after %s, want 0 within 5 s\n%s", code, err, took, p.Stderr())
				}
			})
		}
	}
}

// TestPrimaryComesLater starts ddltail on a set without a primary, which has one again
// after ten seconds.
func TestPrimaryComesLater(t *testing.T) {
	t.Parallel()
	pair := mongotest.NewReplicaSet(t, mongotest.Options{Members: 2, ElectionTimeout: 2 * time.Second})
	primary, err := pair.Primary(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := primary.Kill(); err != nil {
		t.Fatal(err)
	}
	p := launch(t, []string{"run"}, "DDLTAIL_MONGODB_URI="+pair.URI())
	time.Sleep(10 * time.Second)
	if err := p.WaitLog(t.Context(), `"msg":"waiting"`); err != nil {
		t.Fatal(err)
	}
	if err := primary.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
}
