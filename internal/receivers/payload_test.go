package receivers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/binding"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/terminal"
)

// schema compiles a schema of testdata, which is our own reading.
func schema(t testing.TB, name string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	s, err := c.Compile("testdata/schemas/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// parsed returns the value of a JSON body.
func parsed(t testing.TB, body []byte) any {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return value
}

// stringsIn returns all strings of a value, keys left out.
func stringsIn(value any) []string {
	var found []string
	switch v := value.(type) {
	case string:
		found = append(found, v)
	case []any:
		for _, item := range v {
			found = append(found, stringsIn(item)...)
		}
	case map[string]any:
		for _, item := range v {
			found = append(found, stringsIn(item)...)
		}
	}
	return found
}

// workloads are notifications that the templates must render within the limits of their
// targets: each operation, each hostile name, a large definition, many changes.
func workloads(t testing.TB) map[string][]Notification {
	t.Helper()
	all := map[string][]Notification{}
	for i, sample := range Samples(time.Now()) {
		all[string(notification.Operations()[i])] = []Notification{sample}
	}
	var names []Notification
	for i, name := range hostile() {
		all[fmt.Sprintf("hostile %d", i)] = []Notification{named(t, name)}
		names = append(names, named(t, name))
	}
	all["hostile digest"] = names
	all["large"] = []Notification{named(t, strings.Repeat("<é&", 1<<17))}
	all["many"] = thousands(t, 5000)
	return all
}

// thousands returns so many changes, 1 in 1,000 of them destructive and 1 in 100 breaking.
func thousands(t testing.TB, n int) []Notification {
	t.Helper()
	all := make([]Notification, n)
	for i := range all {
		operation, risk := "CREATE_COLLECTION", "routine"
		switch {
		case i%1000 == 999:
			operation, risk = "DROP_COLLECTION", "destructive"
		case i%100 == 50:
			operation, risk = "DROP_INDEX", "breaking"
		}
		id := fmt.Sprintf("rs0:%010d:%010d:000000", 1795634400+i/400, i%400)
		doc, err := bson.Marshal(bson.D{
			{Key: "_id", Value: id}, {Key: "operation", Value: operation}, {Key: "collection", Value: fmt.Sprintf("c%d", i)},
			{Key: "database", Value: fmt.Sprintf("shop_%d", i%7)}, {Key: "ns", Value: fmt.Sprintf("shop_%d.c%d", i%7, i)}, {Key: "risk", Value: risk},
			{Key: "timestamp", Value: float64(1795634400 + i/400)}, {Key: "replica_set", Value: "rs0"}, {Key: "source", Value: "oplog"},
		})
		if err != nil {
			t.Fatal(err)
		}
		all[i] = Notification{ID: id, Document: doc}
	}
	return all
}

// TestPayloads checks every body against the schema of its target and the target's limits.
func TestPayloads(t *testing.T) {
	bytesOf := map[string]int{"slack": slackMessage, "teams": 28 << 10, "pagerduty": 512 << 10}
	for name, tmpl := range builtIn() {
		if name == "json" {
			continue
		}
		s := schema(t, name)
		for workload, all := range workloads(t) {
			if (name == "alertmanager" || name == "cloudevents") && len(all) > 1000 {
				continue // they have no limit, and the schema takes seconds
			}
			p, err := tmpl.render(all)
			if err != nil {
				t.Errorf("%s, %s: %v", name, workload, err)
				continue
			}
			if !utf8.Valid(p.body) {
				t.Errorf("%s, %s: not UTF-8", name, workload)
			}
			if err := s.Validate(parsed(t, p.body)); err != nil {
				t.Errorf("%s, %s: %v", name, workload, err)
			}
			if limit := bytesOf[name]; limit > 0 && len(p.body) > limit {
				t.Errorf("%s, %s: %d bytes", name, workload, len(p.body))
			}
			if closing, ok := tmpl.(resolver); ok {
				p, err := closing.resolve(all)
				if err != nil || s.Validate(parsed(t, p.body)) != nil {
					t.Errorf("%s, %s: resolve: %v, %v", name, workload, err, s.Validate(parsed(t, p.body)))
				}
			}
		}
	}
}

// TestSlackBlocks checks that no block has more than 3,000 characters.
func TestSlackBlocks(t *testing.T) {
	for workload, all := range workloads(t) {
		p, err := slack{}.render(all)
		if err != nil {
			t.Fatal(err)
		}
		var m slackMessageBody
		if err := json.Unmarshal(p.body, &m); err != nil {
			t.Fatal(err)
		}
		for i, b := range m.Blocks {
			n := 0
			for _, part := range b.Elements {
				for _, e := range part.Elements {
					n += utf8.RuneCountInString(e.Text)
				}
			}
			if n > 3000 {
				t.Errorf("%s: block %d has %d characters", workload, i, n)
			}
		}
	}
}

// TestNamesAreText checks that every hostile name reaches people as text that can be read,
// without a sign that steers a terminal, ends a line or turns the direction of text.
func TestNamesAreText(t *testing.T) {
	for name, tmpl := range builtIn() {
		if name == "json" || name == "cloudevents" {
			continue // for programs: see TestDocuments
		}
		for _, hostileName := range hostile() {
			p, err := tmpl.render([]Notification{named(t, hostileName)})
			if err != nil {
				t.Fatal(err)
			}
			all := stringsIn(parsed(t, p.body))
			shown := terminal.Escape(strings.ToValidUTF8(hostileName, "\uFFFD"))
			if !slices.ContainsFunc(all, func(s string) bool {
				return strings.Contains(s, shown) || strings.Contains(s, terminal.Escape(hostileName))
			}) {
				t.Errorf("%s: no text holds %q:\n%s", name, shown, p.body)
			}
			for _, s := range all {
				// The separator of lines of Slack's rich text is ours.
				if strings.ContainsFunc(strings.TrimPrefix(s, "\n"), func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) {
					t.Errorf("%s: %q", name, s)
				}
			}
		}
	}
}

// TestDocuments checks that programs get every name as it is.
func TestDocuments(t *testing.T) {
	for _, name := range []string{"json", "cloudevents"} {
		for _, hostileName := range hostile() {
			p, err := builtIn()[name].render([]Notification{named(t, hostileName)})
			if err != nil {
				t.Fatal(err)
			}
			want := strings.ToValidUTF8(hostileName, "\uFFFD")
			if all := stringsIn(parsed(t, p.body)); utf8.ValidString(hostileName) && !slices.Contains(all, want) {
				t.Errorf("%s: %q is not in %q", name, want, all)
			}
		}
	}
}

// TestCloudEvents has the official SDK read every event and every batch.
func TestCloudEvents(t *testing.T) {
	for workload, all := range workloads(t) {
		p, err := cloudEvent{}.render(all)
		if err != nil {
			t.Fatal(err)
		}
		var events []cloudevents.Event
		if len(all) > 1 {
			if !strings.HasPrefix(p.contentType, cloudevents.ApplicationCloudEventsBatchJSON) {
				t.Errorf("%s: %s", workload, p.contentType)
			}
			if err := json.Unmarshal(p.body, &events); err != nil {
				t.Fatalf("%s: %v", workload, err)
			}
		} else {
			header := map[string][]string{"Content-Type": {p.contentType}}
			e, err := binding.ToEvent(t.Context(), cehttp.NewMessage(header, readCloser{bytes.NewReader(p.body)}))
			if err != nil {
				t.Fatalf("%s: %v", workload, err)
			}
			events = append(events, *e)
		}
		if len(events) != len(all) {
			t.Errorf("%s: %d events of %d", workload, len(events), len(all))
		}
		for i, e := range events {
			if err := e.Validate(); err != nil {
				t.Errorf("%s: %v", workload, err)
			}
			var data map[string]any
			if err := json.Unmarshal(e.Data(), &data); err != nil || data["_id"] != idText(all[i].Document) {
				t.Errorf("%s: data %s: %v", workload, e.Data(), err)
			}
		}
	}
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }

// TestCutOrder checks that what is too large is cut visibly: before, then after, then
// statements.
func TestCutOrder(t *testing.T) {
	large := func(n int) string { return strings.Repeat("x", n) }
	body := func(before, after, statement int) string {
		n := Notification{ID: "id", Document: raw(t, fmt.Sprintf(
			`{"_id": "rs0:1:1:0", "operation": "MODIFY_COLLECTION", "ns": "a.b", "mongosh": "S%s", "before": {"B": %q}, "after": {"A": %q}}`,
			large(statement), large(before), large(after)))}
		p, err := fit(9000, func(l limits) ([]byte, error) { return encode(teamsChange(mustChange(t, n), l)) })
		if err != nil {
			t.Fatal(err)
		}
		return string(p)
	}
	shows := func(body, mark string) int { return strings.Count(body, mark+large(600)) }
	all, noBefore, noAfter := body(1000, 1000, 1000), body(2800, 2800, 2800), body(9000, 9000, 9000)
	if shows(all, `{\"B\":\"`) != 1 || shows(all, `{\"A\":\"`) != 1 || shows(all, "S") != 1 || strings.Contains(all, cutMark) {
		t.Errorf("what fits is cut: %s", all)
	}
	if shows(noBefore, `{\"B\":\"`) != 0 || shows(noBefore, `{\"A\":\"`) != 1 || shows(noBefore, "S") != 1 || !strings.Contains(noBefore, cutMark) {
		t.Errorf("before is to be cut first: %s", noBefore)
	}
	if shows(noAfter, "S") != 1 || strings.Count(noAfter, cutMark) < 2 {
		t.Errorf("the statement is to be cut last: %s", noAfter)
	}
}

func mustChange(t testing.TB, n Notification) Change {
	t.Helper()
	c, err := newChange(n)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestManyChanges checks that a digest of 20,000 changes can be read: what matters comes
// first, one by one, and everything is counted.
func TestManyChanges(t *testing.T) {
	changes, err := newChanges(thousands(t, 20_000))
	if err != nil {
		t.Fatal(err)
	}
	d := newDigest(changes, levels()[0])
	if d.risks != "20 destructive, 200 breaking, 19,780 routine" || d.title != "20,000 schema changes on rs0" {
		t.Errorf("%s; %s", d.title, d.risks)
	}
	if len(d.lines) != 20 || d.lines[0].risk != "destructive" || d.lines[19].risk != "destructive" || d.rest != 19_980 {
		t.Errorf("%d lines, %d more: %+v", len(d.lines), d.rest, d.lines)
	}
	if len(d.groups) != maxGroups+1 || d.groups[0] != "29 breaking DROP_INDEX in shop_0" && !strings.Contains(d.groups[0], "breaking DROP_INDEX") {
		t.Errorf("%q", d.groups)
	}
	counted := 0
	for _, text := range groupsOf(changes) {
		var n int
		if _, err := fmt.Sscanf(strings.ReplaceAll(text, ",", ""), "%d", &n); err == nil {
			counted += n
		}
	}
	if counted == 0 {
		t.Error("the groups count nothing")
	}
}
