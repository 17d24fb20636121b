package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/store"
	"github.com/ddltail/ddltail/test/mongotest"
)

// command runs a command line in this process.
func command(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = execute(ctx, args, &out, &errs)
	return code, out.String(), errs.String()
}

// receiversFile writes a file of receivers and sets the variable.
func receiversFile(t *testing.T, text string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "receivers.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DDLTAIL_RECEIVERS_FILE", path)
}

// TestReceiversTest sends samples and checks output and exit code.
func TestReceiversTest(t *testing.T) {
	const key = "r0ut1ngkey"
	var bodies []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies = append(bodies, string(body))
		if r.URL.Path == "/refuse" {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, "invalid_payload\x1b[2J\nline 2")
			return
		}
		_, _ = io.WriteString(w, "ok")
	}))
	defer server.Close()
	keyFile := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(keyFile, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	receiversFile(t, "receivers:\n- {name: team, template: slack, url: '"+server.URL+"/x?token=t0ken'}\n- {name: refused, template: teams, url: '"+
		server.URL+"/refuse'}\n- {name: pager, template: pagerduty, url: '"+server.URL+"', routing_key_file: "+keyFile+"}\n- {name: down, url: 'http://127.0.0.1:1/t0ken'}\n")
	t.Setenv("DDLTAIL_BACKEND_URL", server.URL)
	for _, c := range []struct {
		args           []string
		code           int
		stdout, stderr string
		bodies         []string
	}{
		{[]string{"team"}, 0, "send: 200 OK\n  ok\n", "", []string{"[test] DROP_COLLECTION (destructive)"}},
		{[]string{"team", "--operation", "create_index"}, 0, "send: 200 OK\n  ok\n", "", []string{"[test] CREATE_INDEX (routine)"}},
		{[]string{"pager"}, 0, "send: 200 OK\n  ok\nresolve: 200 OK\n  ok\n", "", []string{`"event_action":"trigger"`, `"event_action":"resolve"`}},
		{[]string{"backend"}, 0, "send: 200 OK\n  ok\n", "", []string{"[test] DROP_COLLECTION"}},
		{[]string{"refused"}, 1, "send: 400 Bad Request\n  invalid_payload\\u001b[2J\n  line 2\n", "ddltail: refused did not accept the sample\n", []string{"[test]"}},
		{[]string{"down"}, 1, "send: ", "ddltail: down did not accept the sample\n", nil},
		{[]string{"nobody"}, 2, "", "ddltail: no receiver \"nobody\": want one of team, refused, pager, down, backend\n", nil},
		{[]string{"team", "--operation", "DROP"}, 2, "", "ddltail: --operation: want one of ", nil},
	} {
		bodies = nil
		code, stdout, stderr := command(t.Context(), append([]string{"receivers", "test"}, c.args...)...)
		if code != c.code || !strings.HasPrefix(stdout, c.stdout) || !strings.HasPrefix(stderr, c.stderr) || len(bodies) != len(c.bodies) {
			t.Errorf("%v: exit %d, stdout %q, stderr %q, %d requests", c.args, code, stdout, stderr, len(bodies))
			continue
		}
		for i, want := range c.bodies {
			if !strings.Contains(bodies[i], want) {
				t.Errorf("%v: %q is not in %s", c.args, want, bodies[i])
			}
		}
		for _, secret := range []string{key, "t0ken"} {
			if strings.Contains(stdout+stderr, secret) {
				t.Errorf("%v: a secret is shown: %s%s", c.args, stdout, stderr)
			}
		}
	}
}

// TestReceiversMistakes checks that every mistake of the file is reported, with exit 2.
func TestReceiversMistakes(t *testing.T) {
	receiversFile(t, "receivers:\n- name: a\n  url: ftp://h/\n  digest: soon\n")
	code, _, stderr := command(t.Context(), "receivers", "test", "a")
	want := "ddltail: DDLTAIL_RECEIVERS_FILE: line 4: digest: \"soon\": want a duration such as 30s or 24h\n" +
		"ddltail: DDLTAIL_RECEIVERS_FILE: line 3: url: want http://… or https://…, reserved characters percent-encoded\n"
	if code != exitUsage || stderr != want {
		t.Errorf("exit %d, got\n%s\nwant\n%s", code, stderr, want)
	}
}

// TestReceiversRender renders a stored change, and sends nothing.
func TestReceiversRender(t *testing.T) {
	set := mongotest.NewReplicaSet(t, mongotest.Options{})
	db := mongotest.Connect(t, set.URI()).Database("rendered")
	doc := bson.D{
		{Key: "_id", Value: "rs0:1795634426:0000000001:000000"}, {Key: "operation", Value: "DROP_COLLECTION"}, {Key: "collection", Value: "a\u202eb"},
		{Key: "operation_statement", Value: "DROP COLLECTION x"}, {Key: "timestamp", Value: 1795634426.5}, {Key: "database", Value: "shop"},
		{Key: "ns", Value: "shop.a\u202eb"}, {Key: "source", Value: "oplog"}, {Key: "replica_set", Value: "rs0"},
	}
	if _, err := db.Collection(store.History).InsertOne(t.Context(), doc); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DDLTAIL_MONGODB_URI", set.URI())
	t.Setenv("DDLTAIL_DATABASE", db.Name())
	keyFile := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(keyFile, []byte("r0ut1ngkey"), 0o600); err != nil {
		t.Fatal(err)
	}
	receiversFile(t, "receivers:\n- {name: pager, template: pagerduty, url: 'http://127.0.0.1:1/', routing_key_file: "+keyFile+"}\n")
	code, stdout, stderr := command(t.Context(), "receivers", "render", "pager", "1795634426:1")
	var event struct {
		RoutingKey string `json:"routing_key"`
		Payload    struct{ Summary string }
	}
	if err := json.Unmarshal([]byte(stdout), &event); err != nil || code != 0 {
		t.Fatalf("exit %d, %s%s: %v", code, stdout, stderr, err)
	}
	if event.RoutingKey != "(secret)" || event.Payload.Summary != `DROP_COLLECTION (destructive) shop.a\u202eb` {
		t.Errorf("got %+v", event)
	}
	if code, _, stderr := command(t.Context(), "receivers", "render", "pager", "1:1"); code != exitFailed || !strings.Contains(stderr, "no such change") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}
