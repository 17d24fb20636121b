package schema_test

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/schema"
)

func TestNewUpdate(t *testing.T) {
	text, err := os.ReadFile("testdata/update.txt")
	if err != nil {
		t.Fatal(err)
	}
	paragraphs := strings.Split(string(text), "\n\n")
	for _, paragraph := range paragraphs[1:] {
		var known schema.Catalog
		var listed schema.Listed
		lines := strings.Split(strings.TrimSpace(paragraph), "\n")
		for _, line := range lines[:len(lines)-1] {
			switch word, rest, _ := strings.Cut(line, " "); word {
			case "known":
				known.Set(versionOf(t, rest))
			case "listed":
				listed.Versions = append(listed.Versions, versionOf(t, rest))
			case "unlisted":
				v := versionOf(t, rest)
				listed.Unlisted = append(listed.Unlisted, schema.Unlisted{Selection: selectionOf(rest), UUID: v.Definition.UUID, Reason: "refused"})
			case "of":
				listed.Of = append(listed.Of, selectionOf(rest))
			}
		}
		want := strings.TrimSpace(strings.TrimPrefix(lines[len(lines)-1], "=>"))
		if got := describe(schema.NewUpdate(&known, listed, oplog.Moment{})); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", paragraph, got, want)
		}
	}
}

func selectionOf(text string) schema.Selection {
	name := strings.Fields(text)[0]
	s := schema.Selection{Namespace: schema.Namespace{Database: "db", Collection: name}}
	if name == "views" || name == "database" {
		s.Namespace.Collection, s.Views = "", name == "views"
	}
	return s
}

func versionOf(t *testing.T, text string) schema.Version {
	words := strings.Fields(text)
	def := schema.Definition{Kind: schema.KindCollection}
	options := bson.D{}
	for _, word := range words[1:] {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "view":
			def.Kind = schema.KindView
		case "series":
			def.Kind = schema.KindTimeSeries
		case "uuid":
			n, err := strconv.Atoi(value)
			if err != nil {
				t.Fatal(err)
			}
			def.UUID = oplog.UUID{byte(n)}
		case "on":
			options = append(options, bson.E{Key: "viewOn", Value: value})
		case "temp":
			def.Temporary = true
		case "index":
			def.Indexes = []bson.Raw{raw(t, bson.D{{Key: "key", Value: bson.D{{Key: "a", Value: 1}}}, {Key: "name", Value: "a_1"}})}
		}
	}
	def.Options = raw(t, options)
	return schema.Version{Namespace: schema.Namespace{Database: "db", Collection: words[0]}, Definition: &def}
}

func raw(t *testing.T, doc bson.D) bson.Raw {
	t.Helper()
	out, err := bson.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func describe(d schema.Update) string {
	var versions, kept, unlisted []string
	for _, v := range d.Versions {
		text := "+" + v.Namespace.Collection
		switch {
		case v.Definition == nil:
			text = "-" + v.Namespace.Collection
		case v.Definition.Temporary:
			text += "/temp"
		}
		versions = append(versions, text)
	}
	for _, v := range d.Kept {
		kept = append(kept, v.Namespace.Collection)
	}
	for _, u := range d.Unlisted {
		unlisted = append(unlisted, strings.TrimPrefix(u.String(), "db."))
	}
	var parts []string
	if len(versions) > 0 {
		parts = append(parts, strings.Join(versions, " "))
	}
	if len(kept) > 0 {
		parts = append(parts, "kept "+strings.Join(kept, " "))
	}
	if len(unlisted) > 0 {
		parts = append(parts, "unlisted "+strings.Join(unlisted, ", "))
	}
	return strings.Join(parts, "; ")
}
