package drift

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/mongosh"
	"github.com/ddltail/ddltail/internal/terminal"
)

// Report is the result of a comparison.
type Report struct {
	// Open are the differences, Accepted those that the ignore file lists.
	Open, Accepted []Difference
	// Compared counts the declared namespaces that were compared.
	Compared int
}

// object returns the differing object in human-readable form.
func (d Difference) object() string {
	name := d.Namespace.String()
	if d.Index != "" {
		name += " index " + d.Index
	}
	return name
}

// what describes the difference in one line.
func (d Difference) what() string {
	var parts []string
	for _, detail := range d.Details {
		parts = append(parts, fmt.Sprintf("%s: declared %s, live %s", detail.Option, form(detail.Declared), form(detail.Live)))
	}
	return strings.Join(parts, "; ")
}

// form returns a value as a mongosh literal.
func form(v bson.RawValue) string {
	if v.IsZero() {
		return "not set"
	}
	text, _ := mongosh.Literal(v)
	return text
}

func (c *Cause) String() string {
	if c == nil {
		return "not known"
	}
	text := c.Operation + " " + c.Time.Local().Format("2006-01-02 15:04:05") + " (" + c.ID + ")"
	if c.Actor != "" {
		text += " by " + c.Actor
	}
	return text
}

// WriteTable writes a block for each difference.
func (r Report) WriteTable(w io.Writer, screen terminal.Screen) error {
	var b strings.Builder
	for _, d := range r.Open {
		colour := terminal.Yellow
		if d.Kind == Missing {
			colour = terminal.Red
		}
		fmt.Fprintf(&b, "%s %s\n", screen.Paint(colour, terminal.Pad(string(d.Kind), 10)), terminal.Escape(d.object()))
		for _, detail := range d.Details {
			fmt.Fprintf(&b, "           %s\n", terminal.Escape(detail.Option))
			fmt.Fprintf(&b, "             declared %s\n", terminal.Escape(form(detail.Declared)))
			fmt.Fprintf(&b, "             live     %s\n", terminal.Escape(form(detail.Live)))
		}
		fmt.Fprintf(&b, "           change   %s\n", terminal.Escape(d.Cause.String()))
		fmt.Fprintf(&b, "           id       %s\n", terminal.Escape(d.ID()))
	}
	fmt.Fprintf(&b, "%s\n", r.summary())
	_, err := io.WriteString(w, b.String())
	return err
}

func (r Report) summary() string {
	text := fmt.Sprintf("%d namespaces compared: ", r.Compared)
	switch len(r.Open) {
	case 0:
		text += "no drift"
	case 1:
		text += "1 difference"
	default:
		text += fmt.Sprintf("%d differences", len(r.Open))
	}
	if len(r.Accepted) > 0 {
		text += fmt.Sprintf(", and %d accepted", len(r.Accepted))
	}
	return text
}

type jsonReport struct {
	Drift       bool             `json:"drift"`
	Compared    int              `json:"compared"`
	Differences []jsonDifference `json:"differences"`
	Accepted    []string         `json:"accepted"`
}

type jsonDifference struct {
	ID        string       `json:"id"`
	Kind      Kind         `json:"kind"`
	Namespace string       `json:"ns"`
	Index     string       `json:"index,omitempty"`
	Details   []jsonDetail `json:"details"`
	Change    *jsonCause   `json:"change"`
}

type jsonDetail struct {
	Option   string  `json:"option"`
	Declared *string `json:"declared"`
	Live     *string `json:"live"`
}

type jsonCause struct {
	ID        string    `json:"id"`
	Time      time.Time `json:"time"`
	Operation string    `json:"operation"`
	Actor     *string   `json:"actor"`
}

// WriteJSON writes one document. Values are mongosh literals; null means not set, or not known.
func (r Report) WriteJSON(w io.Writer) error {
	out := jsonReport{Drift: len(r.Open) > 0, Compared: r.Compared, Differences: []jsonDifference{}, Accepted: []string{}}
	for _, d := range r.Open {
		one := jsonDifference{ID: d.ID(), Kind: d.Kind, Namespace: d.Namespace.String(), Index: d.Index, Details: []jsonDetail{}}
		for _, detail := range d.Details {
			one.Details = append(one.Details, jsonDetail{detail.Option, optional(detail.Declared), optional(detail.Live)})
		}
		if d.Cause != nil {
			one.Change = &jsonCause{ID: d.Cause.ID, Time: d.Cause.Time.UTC(), Operation: d.Cause.Operation}
			if d.Cause.Actor != "" {
				one.Change.Actor = &d.Cause.Actor
			}
		}
		out.Differences = append(out.Differences, one)
	}
	for _, d := range r.Accepted {
		out.Accepted = append(out.Accepted, d.ID())
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}

func optional(v bson.RawValue) *string {
	if v.IsZero() {
		return nil
	}
	text := form(v)
	return &text
}

type junitSuites struct {
	XMLName xml.Name   `xml:"testsuites"`
	Suite   junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Failure *junitMessage `xml:"failure"`
	Skipped *junitMessage `xml:"skipped"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes a failed test case for each difference, or a passed one if there is none:
// CI servers do not show a suite without cases.
func (r Report) WriteJUnit(w io.Writer) error {
	suite := junitSuite{Name: "ddltail drift", Failures: len(r.Open), Skipped: len(r.Accepted)}
	for _, d := range r.Open {
		suite.Cases = append(suite.Cases, junitCase{Class: terminal.Escape(d.Namespace.String()), Name: terminal.Escape(d.ID()), Failure: &junitMessage{
			Message: terminal.Escape(string(d.Kind) + ": " + d.object()), Text: terminal.Escape(d.what() + "\nchange: " + d.Cause.String()),
		}})
	}
	for _, d := range r.Accepted {
		suite.Cases = append(suite.Cases, junitCase{Class: terminal.Escape(d.Namespace.String()), Name: terminal.Escape(d.ID()), Skipped: &junitMessage{Message: "accepted"}})
	}
	if len(suite.Cases) == 0 {
		suite.Cases = []junitCase{{Class: "ddltail", Name: r.summary()}}
	}
	suite.Tests = len(suite.Cases)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(junitSuites{Suite: suite}); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
