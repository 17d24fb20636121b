package receivers_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ddltail/ddltail/internal/receivers"
	"github.com/ddltail/ddltail/internal/terminal"
	"github.com/ddltail/ddltail/test/fetch"
	"github.com/ddltail/ddltail/test/hostile"
)

// rendered is a card as Microsoft's renderer shows it.
type rendered struct {
	Paragraphs, Elements, Events []string
}

// script returns the path that a script which fetches something prints.
func script(t *testing.T, name string) string {
	t.Helper()
	path, err := fetch.Path(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// teamsCards returns the cards of the messages for Teams.
func teamsCards(t *testing.T, messages [][]receivers.Notification) []json.RawMessage {
	t.Helper()
	path := filepath.Join(t.TempDir(), "receivers.yaml")
	if err := os.WriteFile(path, []byte("receivers: [{name: a, template: teams, url: 'http://127.0.0.1:1'}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := receivers.Load(path, "")
	if err != nil {
		t.Fatal(err)
	}
	defer all[0].Close()
	var cards []json.RawMessage
	for _, m := range messages {
		body, err := all[0].Render(m)
		if err != nil {
			t.Fatal(err)
		}
		var message struct {
			Attachments []struct{ Content json.RawMessage }
		}
		if err := json.Unmarshal(body, &message); err != nil {
			t.Fatal(err)
		}
		cards = append(cards, message.Attachments[0].Content)
	}
	return cards
}

// renderCards renders the cards of the messages for Teams in jsdom.
func renderCards(t *testing.T, messages [][]receivers.Notification) []rendered {
	t.Helper()
	if testing.Short() {
		t.Skip("needs Node")
	}
	packages := script(t, "node-deps.sh")
	cards := teamsCards(t, messages)
	input, err := json.Marshal(cards)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "testdata/cards.cjs")
	cmd.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(packages, "node_modules"))
	cmd.Stdin = bytes.NewReader(input)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("render: %v\n%s", err, errs.String())
	}
	var results []rendered
	if err := json.Unmarshal(out, &results); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return results
}

// TestCards renders the cards of every operation and every hostile name with Microsoft's
// renderer: names must appear as text, without unexpected elements.
func TestCards(t *testing.T) {
	t.Parallel()
	var messages [][]receivers.Notification
	for _, name := range hostile.Names() {
		messages = append(messages, []receivers.Notification{dropped(t, "shop", name)})
	}
	for _, sample := range receivers.Samples(time.Now()) {
		messages = append(messages, []receivers.Notification{sample})
	}
	var digest []receivers.Notification
	for range 3000 {
		digest = append(digest, dropped(t, "shop", "x"))
	}
	messages = append(messages, digest)
	results := renderCards(t, messages)
	for i, r := range results {
		if len(r.Events) > 0 || len(r.Paragraphs) < 3 {
			t.Errorf("card %d: %q, %q", i, r.Events, r.Paragraphs)
		}
		for _, element := range r.Elements {
			if !slices.Contains([]string{"div", "span"}, element) {
				t.Errorf("card %d has an element %s: %q", i, element, r.Paragraphs)
			}
		}
	}
	for i, name := range hostile.Names() {
		if want := "shop." + terminal.Escape(name); !slices.Contains(results[i].Paragraphs, want) {
			t.Errorf("%q is not one of %q", want, results[i].Paragraphs)
		}
	}
}
