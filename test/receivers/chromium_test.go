package receivers_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/receivers"
	"github.com/ddltail/ddltail/test/hostile"
)

var pictures = flag.String("pictures", "", "render cards in chromium and write their pictures to this folder")

// TestCardsInChromium renders cards with Microsoft's renderer in chromium: every text must be
// in the page as text, without unexpected elements. It writes a picture of each card.
func TestCardsInChromium(t *testing.T) {
	if *pictures == "" {
		t.Skip("fetches chromium: make cards")
	}
	b := browser{T: t, chromium: script(t, "chromium.sh"), folder: t.TempDir()}
	b.copyFile(filepath.Join(script(t, "node-deps.sh"), "node_modules/adaptivecards/dist/adaptivecards.js"), "adaptivecards.js")
	b.copyFile("testdata/card.html", "card.html")
	b.must(os.MkdirAll(*pictures, 0o755))
	names, messages := pictured(t)
	for i, card := range teamsCards(t, messages) {
		dom := b.show(names[i], card)
		checkTexts(t, names[i], dom, card)
		checkElements(t, names[i], dom)
	}
}

// pictured returns the messages to show, with their names.
func pictured(t *testing.T) (names []string, messages [][]receivers.Notification) {
	t.Helper()
	var hostiles, few []receivers.Notification
	for _, name := range hostile.Names() {
		hostiles = append(hostiles, full(t, name, name))
	}
	for _, name := range []string{"payments_2019", "sessions", "logins"} {
		few = append(few, dropped(t, "banking_db", name))
	}
	few = append(few, index(t))
	many := slices.Clone(few)
	for range 200 {
		many = append(many, index(t))
	}
	return []string{"drop", "index", "digest", "digest-many", "hostile", "hostile-digest", "hostile-long", "hostile-direction"},
		[][]receivers.Notification{
			{full(t, "banking_db", "payments_2019")}, {index(t)}, few, many,
			{hostiles[0]}, hostiles, {hostiles[4]}, {hostiles[5]},
		}
}

// full is a dropped collection with a text in every field that a card shows.
func full(t *testing.T, database, collection string) receivers.Notification {
	t.Helper()
	n := dropped(t, database, collection)
	return with(t, n,
		bson.E{Key: "mongosh", Value: "db.getSiblingDB('" + database + "').getCollection('" + collection + "').drop()"},
		bson.E{Key: "before", Value: bson.D{{Key: "validator", Value: bson.D{{Key: "amount", Value: bson.D{{Key: "$type", Value: "decimal"}}}}}}},
		bson.E{Key: "actor", Value: bson.D{{Key: "user", Value: "deploy@" + database}, {Key: "app", Value: "mongosh 2.5.0"}}})
}

// index is a created index.
func index(t *testing.T) receivers.Notification {
	t.Helper()
	key := bson.D{{Key: "account", Value: 1}, {Key: "at", Value: -1}}
	return with(t, dropped(t, "banking_db", "payments"),
		bson.E{Key: "operation", Value: "CREATE_INDEX"}, bson.E{Key: "risk", Value: "routine"}, bson.E{Key: "index_name", Value: "account_at"},
		bson.E{Key: "mongosh", Value: "db.getSiblingDB('banking_db').getCollection('payments').createIndex({account: 1, at: -1}, {name: 'account_at'})"},
		bson.E{Key: "undo", Value: "db.getSiblingDB('banking_db').getCollection('payments').dropIndex('account_at')"},
		bson.E{Key: "after", Value: bson.D{{Key: "key", Value: key}, {Key: "name", Value: "account_at"}}},
		bson.E{Key: "actor", Value: bson.D{{Key: "user", Value: "deploy@admin"}, {Key: "app", Value: "mongosh 2.5.0"}}})
}

// with returns a notification with fields set.
func with(t *testing.T, n receivers.Notification, fields ...bson.E) receivers.Notification {
	t.Helper()
	var doc bson.D
	if err := bson.Unmarshal(n.Document, &doc); err != nil {
		t.Fatal(err)
	}
	for _, f := range fields {
		doc = append(slices.DeleteFunc(doc, func(e bson.E) bool { return e.Key == f.Key }), f)
	}
	raw, err := bson.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	n.Document = raw
	return n
}

// browser is a chromium without a window and the folder of its page.
type browser struct {
	*testing.T
	chromium, folder string
}

func (b browser) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b browser) copyFile(from, name string) {
	b.Helper()
	data, err := os.ReadFile(from)
	b.must(err)
	b.must(os.WriteFile(filepath.Join(b.folder, name), data, 0o600))
}

// show writes the picture of a card and returns the page as the browser has it.
func (b browser) show(name string, card json.RawMessage) string {
	b.Helper()
	b.must(os.WriteFile(filepath.Join(b.folder, "card.js"), slices.Concat([]byte("const card = "), card, []byte(";\n")), 0o600))
	dom := b.run("--dump-dom", "--window-size=674,600")
	if !strings.Contains(dom, `data-events="0"`) {
		b.Errorf("%s: the renderer reports events, or did not end", name)
	}
	if !strings.Contains(dom, "background-color") {
		b.Errorf("%s: the header has no colour", name)
	}
	height := regexp.MustCompile(`data-height="(\d+)"`).FindStringSubmatch(dom)
	if height == nil {
		b.Fatalf("%s has no height:\n%s", name, dom)
	}
	b.run("--screenshot="+filepath.Join(*pictures, name+".png"), "--window-size=674,"+height[1])
	return dom
}

func (b browser) run(args ...string) string {
	b.Helper()
	args = append([]string{
		"--headless", "--disable-gpu", "--hide-scrollbars", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--user-data-dir=" + b.TempDir(),
	}, args...)
	if os.Geteuid() == 0 {
		args = append(args, "--no-sandbox") // chromium refuses its sandbox to root
	}
	cmd := exec.CommandContext(b.Context(), b.chromium, append(args, "file://"+filepath.Join(b.folder, "card.html"))...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		b.Fatalf("chromium: %v\n%s", err, errs.String())
	}
	return string(out)
}

// checkTexts checks that each text of a card is the text of an element.
func checkTexts(t *testing.T, name, dom string, card json.RawMessage) {
	t.Helper()
	shown := map[string]bool{}
	for _, m := range regexp.MustCompile(`<span[^>]*>([^<]*)</span>`).FindAllStringSubmatch(dom, -1) {
		shown[html.UnescapeString(m[1])] = true
	}
	texts := textsOf(t, card)
	if len(texts) < 4 {
		t.Errorf("%s has only the texts %q", name, texts)
	}
	for _, text := range texts {
		if !shown[text] {
			t.Errorf("%s does not show %q", name, text)
		}
	}
}

// textsOf returns the texts of a card, at any depth.
func textsOf(t *testing.T, element json.RawMessage) (texts []string) {
	t.Helper()
	var e struct {
		Text                 string
		Body, Items, Inlines []json.RawMessage
	}
	if err := json.Unmarshal(element, &e); err != nil {
		t.Fatal(err)
	}
	if e.Text != "" {
		texts = append(texts, e.Text)
	}
	for _, child := range slices.Concat(e.Body, e.Items, e.Inlines) {
		texts = append(texts, textsOf(t, child)...)
	}
	return texts
}

// checkElements checks that the card consists of div and span, and has no link and no script.
func checkElements(t *testing.T, name, dom string) {
	t.Helper()
	_, card, found := strings.Cut(dom, `<div id="card">`)
	card, _, ended := strings.Cut(card, `<script src="adaptivecards.js">`)
	if !found || !ended {
		t.Fatalf("%s is not in the page:\n%s", name, dom)
	}
	for _, m := range regexp.MustCompile(`<([a-zA-Z][^\s/>]*)`).FindAllStringSubmatch(card, -1) {
		if m[1] != "div" && m[1] != "span" {
			t.Errorf("%s has an element %s", name, m[1])
		}
	}
}
