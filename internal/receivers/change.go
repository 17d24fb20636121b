package receivers

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
	"unicode"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/risk"
	"github.com/ddltail/ddltail/internal/terminal"
)

// Change is one notification for templates. Names and statements are not escaped: templates
// escape them. Unknown values are empty.
type Change struct {
	// ID is the _id, Operation one of the documented ones.
	ID, Operation string
	Risk          risk.Level
	// Namespace is database.collection, only the database, or empty for HISTORY_GAP.
	Namespace, Database, Collection, Index, To string
	// Statement is the display text; Mongosh repeats the change, Undo reverts it.
	Statement, Mongosh, Undo string
	// Before and After are the definitions as relaxed Extended JSON.
	Before, After JSON
	Time          time.Time
	// From and Until are the ends of a HISTORY_GAP.
	From, Until time.Time
	// Inferred reports whether the change was inferred from a comparison of catalogs: it was
	// made before Time.
	Inferred   bool
	ReplicaSet string
	// User and App are from the actor.
	User, App string
	// Test marks a sample.
	Test bool
	// Document is the whole notification as relaxed Extended JSON.
	Document JSON
}

// JSON is a JSON text.
type JSON string

// newChange reads a notification. A field of an unexpected type is empty.
func newChange(n Notification) (Change, error) {
	doc := n.Document
	text := func(path ...string) string {
		s, _ := doc.Lookup(path...).StringValueOK()
		return s
	}
	c := Change{
		ID: idText(doc), Operation: text("operation"), Risk: notification.RiskOf(doc),
		Namespace: text("ns"), Database: text("database"), Collection: text("collection"), Index: text("index_name"), To: text("to"),
		Statement: text("operation_statement"), Mongosh: text("mongosh"), Undo: text("undo"),
		Time: timeOf(doc), Inferred: text("source") == "snapshot" && text("operation") != string(notification.HistoryGap),
		ReplicaSet: text("replica_set"), User: userOf(doc), App: text("actor", "app"), Test: n.Test,
	}
	if c.Namespace == "" {
		c.Namespace = c.Collection // written by hand, without a database
	}
	c.From, _ = doc.Lookup("from", "wall").TimeOK()
	c.Until, _ = doc.Lookup("to", "wall").TimeOK()
	var err error
	if c.Before, err = jsonOf(doc, "before"); err != nil {
		return c, err
	}
	if c.After, err = jsonOf(doc, "after"); err != nil {
		return c, err
	}
	whole, err := bson.MarshalExtJSON(doc, false, false)
	if err != nil {
		return c, fmt.Errorf("write %s as JSON: %w", c.ID, err)
	}
	c.Document = JSON(whole)
	return c, nil
}

func newChanges(all []Notification) ([]Change, error) {
	changes := make([]Change, len(all))
	for i, n := range all {
		var err error
		if changes[i], err = newChange(n); err != nil {
			return nil, err
		}
	}
	return changes, nil
}

func jsonOf(doc bson.Raw, field string) (JSON, error) {
	part, ok := doc.Lookup(field).DocumentOK()
	if !ok {
		return "", nil
	}
	text, err := bson.MarshalExtJSON(part, false, false)
	if err != nil {
		return "", fmt.Errorf("write %s as JSON: %w", field, err)
	}
	return JSON(text), nil
}

// idText returns the _id: a string unchanged, an ObjectId's hex digits, else Extended JSON.
func idText(doc bson.Raw) string {
	id := doc.Lookup("_id")
	if s, ok := id.StringValueOK(); ok {
		return s
	}
	if o, ok := id.ObjectIDOK(); ok {
		return o.Hex()
	}
	return id.String()
}

// timeOf returns the time of the change.
func timeOf(doc bson.Raw) time.Time {
	if at, ok := doc.Lookup("wall").TimeOK(); ok {
		return at.UTC()
	}
	if at, ok := notification.Time(doc.Lookup("timestamp")); ok {
		return at.UTC()
	}
	if o, ok := doc.Lookup("_id").ObjectIDOK(); ok {
		return o.Timestamp().UTC()
	}
	return time.Time{}
}

// userOf returns the user of the actor, or the users of its connection.
func userOf(doc bson.Raw) string {
	if user, ok := doc.Lookup("actor", "user").StringValueOK(); ok {
		return user
	}
	array, _ := doc.Lookup("actor", "users").ArrayOK()
	values, _ := array.Values()
	var users []string
	for _, v := range values {
		if user, ok := v.StringValueOK(); ok {
			users = append(users, user)
		}
	}
	return strings.Join(users, " or ")
}

// subject returns the changed object, printable on one line: the namespace, an index, a new name.
func (c Change) subject() string {
	if !c.From.IsZero() && !c.Until.IsZero() {
		return "what changed from " + stamp(c.From) + " to " + stamp(c.Until) + " is not known"
	}
	text := c.Namespace
	if c.Index != "" {
		text += " index " + c.Index
	}
	if c.To != "" {
		text += " to " + c.To
	}
	return terminal.Escape(text)
}

// statement returns the executable statement, else the display text, printable on one line.
func (c Change) statement() string {
	if c.Mongosh != "" {
		return terminal.Escape(c.Mongosh)
	}
	return terminal.Escape(c.Statement)
}

// title returns operation and risk, without texts from the server.
func (c Change) title() string {
	return mark(c.Test) + c.operation() + " (" + string(c.Risk) + ")"
}

// operation returns the operation without characters that a target could interpret: in a
// notification written by hand it can be any text.
func (c Change) operation() string {
	return cut(strings.Map(func(r rune) rune {
		if r == '_' || r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return r
		}
		return -1
	}, c.Operation), maxName)
}

// summary returns title and subject on one line.
func (c Change) summary(characters int) string {
	return strings.TrimSpace(c.title() + " " + cut(c.subject(), characters))
}

// needsStatement reports whether operation and subject do not describe the change completely.
func (c Change) needsStatement() bool {
	switch notification.Operation(c.Operation) {
	case notification.CreateCollection, notification.DropCollection, notification.DropIndex, notification.DropView,
		notification.RenameCollection, notification.DropDatabase, notification.HistoryGap:
		return false
	}
	return true
}

// origin describes by whom, when and where a change was made, as far as known.
func (c Change) origin() string {
	var parts []string
	switch {
	case c.User != "" && c.App != "":
		parts = append(parts, "by "+c.User+" with "+c.App)
	case c.User != "":
		parts = append(parts, "by "+c.User)
	case c.App != "":
		parts = append(parts, "with "+c.App)
	}
	if c.ReplicaSet != "" {
		parts = append(parts, "on "+c.ReplicaSet)
	}
	if !c.Time.IsZero() {
		when := "at "
		if c.Inferred {
			when = "before "
		}
		parts = append(parts, when+stamp(c.Time))
	}
	return terminal.Escape(strings.Join(parts, " "))
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// mark begins the text of a sample.
func mark(test bool) string {
	if test {
		return "[test] "
	}
	return ""
}

// longestName bounds the displayed characters of a name; names that servers allow are shorter.
const longestName = 400

// plain returns a name for display, on one line.
func plain(text string) string { return cut(terminal.Escape(text), longestName) }

// cutMark ends a truncated text.
const cutMark = "… [cut]"

// cut truncates a text to at most n characters with a mark; n of 0 returns an empty text.
func cut(text string, n int) string {
	if n <= 0 {
		return ""
	}
	runes := []rune(text)
	if len(runes) <= n {
		return text
	}
	mark := []rune(cutMark)
	if n <= len(mark) {
		return string(mark[:n])
	}
	return string(runes[:n-len(mark)]) + cutMark
}

// messageID identifies a message: the ID of its notification, or of its notifications.
func messageID(all []Notification) string {
	if len(all) == 1 {
		return all[0].ID
	}
	sum := sha256.New()
	for _, n := range all {
		sum.Write([]byte(n.ID + "\n"))
	}
	return hex.EncodeToString(sum.Sum(nil))
}
