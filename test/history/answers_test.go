package history

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"
)

var update = flag.Bool("update", false, "rewrite the golden screens in testdata/answers")

// situation is a state of servers and configuration for which the answers are tested.
type situation struct {
	variables []string
	// daemons are those whose pages are read; working is true if they become ready.
	daemons [][]string
	working bool
	// unmeasured are texts that no answer may show, because they would report something as
	// good that was not measured.
	unmeasured []string
}

// TestAnswers compares the output of status, history, /readyz and / with golden screens
// in each situation: a value that was not measured must not be reported as good.
func TestAnswers(t *testing.T) {
	const away = "mongodb://127.0.0.1:1"
	major, err := mongotest.ServerMajor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rs := mongotest.NewReplicaSet(t, mongotest.Options{})
	secured := mongotest.NewReplicaSet(t, mongotest.Options{Auth: true})
	err = mongotest.Connect(t, secured.URI()).Database("admin").RunCommand(t.Context(), bson.D{
		{Key: "createUser", Value: "nobody"}, {Key: "pwd", Value: "secret"}, {Key: "roles", Value: bson.A{}}}).Err()
	if err != nil {
		t.Fatal(err)
	}
	well := []string{"DDLTAIL_MONGODB_URI=" + rs.URI(), "DDLTAIL_DATABASE=audit"}
	start(t, well...)
	if err := mongotest.Connect(t, rs.URI()).Database("bank").CreateCollection(t.Context(), "payments"); err != nil {
		t.Fatal(err)
	}
	healthy(t, well)
	time.Sleep(time.Second) // within the second of the first listing `history --as-of` has a note
	other := mongotest.NewReplicaSet(t, mongotest.Options{})
	only := []string{"DDLTAIL_MONGODB_URI=" + other.URI(), "DDLTAIL_DATABASE=only_setup"}
	command{[]string{"setup"}, only}.ok(t)
	good := []string{"status         healthy", `"healthy": true`, "none is missing", "gaps           none", "0 unprocessed", `"gaps": {`,
		`"missing_privileges": []`, "equal to the server's", `"compared": true`, "0 s behind", "tailing yes", "/readyz 200"}
	run, listen := []string{"run"}, []string{"listen", "--stdout"}
	both := [][]string{run, listen}
	answersAre := func(t *testing.T, name string, s situation) {
		got := answers(t, s)
		for _, text := range s.unmeasured {
			if strings.Contains(got, text) {
				t.Errorf("%q is shown but was not measured", text)
			}
		}
		golden(t, filepath.Join("testdata", "answers", name+".txt"), got)
	}
	t.Run("well", func(t *testing.T) { answersAre(t, "well", situation{well, both, true, nil}) })
	for name, s := range map[string]situation{
		// listen does not connect to the set.
		"no-set":         {[]string{"DDLTAIL_MONGODB_URI=" + away, "DDLTAIL_SINK_URI=" + rs.URI(), "DDLTAIL_DATABASE=audit"}, [][]string{run}, false, slices.DeleteFunc(slices.Clone(good), isOfTheSink)},
		"no-sink":        {[]string{"DDLTAIL_MONGODB_URI=" + rs.URI(), "DDLTAIL_SINK_URI=" + away, "DDLTAIL_DATABASE=audit"}, both, false, good},
		"no-server":      {[]string{"DDLTAIL_MONGODB_URI=" + away, "DDLTAIL_SOURCE=rs0"}, both, false, good},
		"no-rights":      {[]string{"DDLTAIL_MONGODB_URI=" + secured.URIOf("nobody", "secret", "")}, both, false, good},
		"no-login":       {[]string{"DDLTAIL_MONGODB_URI=mongodb://" + secured.Hosts()}, both, false, good},
		"wrong-database": {[]string{"DDLTAIL_MONGODB_URI=" + other.URI(), "DDLTAIL_DATABASE=wrong"}, both, true, slices.DeleteFunc(slices.Clone(good), isOfTheSet)},
		"empty-database": {only, both, true, slices.DeleteFunc(slices.Clone(good), func(s string) bool { return isOfTheSet(s) || isOfTheSink(s) })},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if major < 5 && (name == "no-rights" || name == "no-login") {
				t.Skip("4.4 needs one privilege less: it has no time series")
			}
			answersAre(t, name, s)
		})
	}
}

// isOfTheSet reports whether a text needs a readable set and a writable sink.
func isOfTheSet(text string) bool {
	return slices.Contains([]string{"none is missing", `"missing_privileges": []`, "tailing yes", "/readyz 200"}, text)
}

func isOfTheSink(text string) bool { return text == "0 unprocessed" }

func answers(t *testing.T, s situation) string {
	t.Helper()
	commands := [][]string{
		{"status"}, {"status", "--format", "json"}, {"history"}, {"history", "--format", "json"}, {"history", "--ns", "nothing.*"},
		{"history", "--as-of", "now"}, {"history", "--as-of", "now", "--format", "json"}, {"history", "diff", "1h", "now"}, {"history", "show", "1:1"},
	}
	screens := make([]string, len(commands))
	var all sync.WaitGroup
	for i, args := range commands {
		// Concurrently, because each waits for an unavailable server.
		all.Go(func() {
			began := time.Now()
			stdout, stderr, code := command{args, append(slices.Clone(s.variables), "DDLTAIL_LOG_LEVEL=warn")}.run(t)
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("%q took %s", args, took)
			}
			screens[i] = fmt.Sprintf("$ ddltail %s\n%s%s[exit %d]\n\n", strings.Join(args, " "), stdout, stderr, code)
		})
	}
	all.Wait()
	var out strings.Builder
	out.WriteString(strings.Join(screens, ""))
	for _, daemon := range s.daemons {
		fmt.Fprintf(&out, "$ ddltail %s\n%s\n", strings.Join(daemon, " "), pages(t, daemon, s))
	}
	return out.String()
}

// pages returns the pages of a daemon when it is ready, or some seconds after its start if
// it does not become ready, or its exit.
func pages(t *testing.T, args []string, s situation) string {
	t.Helper()
	p, err := ddltailtest.Start(binary, args, s.variables...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}()
	if s.working {
		if err := p.WaitReady(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if code, err := p.Wait(ctx); err == nil {
		return fmt.Sprintf("%s[exit %d]\n", p.Failure(), code)
	}
	var out strings.Builder
	for _, path := range []string{"/readyz", "/"} {
		code, text, err := p.Get(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%s %d\n%s\n", path, code, plain(text))
	}
	return out.String()
}

// plain removes the tags of a page, row by row.
func plain(html string) string {
	_, body, found := strings.Cut(html, "<table>")
	if !found {
		return strings.TrimSpace(html)
	}
	body, _, _ = strings.Cut(body, "</table>")
	return strings.TrimSpace(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(strings.ReplaceAll(body, "</th>", " "), ""))
}

// golden compares a screen with its file, without values that differ between runs.
func golden(t *testing.T, path, got string) {
	t.Helper()
	for _, vary := range []struct{ pattern, put string }{
		{`127\.0\.0\.1:[0-9]{4,5}`, "HOST"},
		{`[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+( UTC|Z|\+[0-9:]+)?`, "TIME"},
		{`\b[0-9]+ (d|h|min|s)\b( [0-9]+ (h|min|s)\b)?`, "SPAN"},
		{`"(\w+_seconds)": [0-9]+`, `"$1": N`},
		{`\b1[0-9]{9}:[0-9]+(:[0-9]+)?`, "ID"},
		// An increment of two digits makes the column wider.
		{`\bID {2,}`, "ID  "},
		{`(HOST|127\.0\.0\.1:1)`, "HOST"},
		{`version .*`, "version V"},
		{`(?m)^\{.*\}\n`, "{…}\n"},
	} {
		got = regexp.MustCompile(vary.pattern).ReplaceAllString(got, vary.put)
	}
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	gotLines, wantLines := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i, line := range gotLines {
		if i >= len(wantLines) || line != wantLines[i] {
			t.Fatalf("%s differs from line %d: go test ./test/history -run Answers -update\n%s\nwant\n%s", path, i+1, line, strings.Join(wantLines[min(i, len(wantLines)):min(i+1, len(wantLines))], ""))
		}
	}
	if len(gotLines) < len(wantLines) {
		t.Fatalf("%s: %d lines are missing", path, len(wantLines)-len(gotLines))
	}
}
