package main

import (
	"errors"
	"strings"
	"testing"
)

// Findings as govulncheck prints them: of a module, of a called function without a
// fix, and of one with a fix.
const output = `{"config":{"protocol_version":"v1.0.0"}}
{"osv":{"id":"GO-1"}}
{"finding":{"osv":"GO-1","trace":[{"module":"m","version":"v1.0.0"}]}}
{"finding":{"osv":"GO-2","trace":[{"module":"m","version":"v1.0.0","package":"m/p","function":"F"}]}}
{"finding":{"osv":"GO-3","fixed_version":"v1.1.0","trace":[{"module":"m","version":"v1.0.0","package":"m/p","function":"G"}]}}
`

func TestCompare(t *testing.T) {
	found, err := parseFindings(strings.NewReader(output))
	if err != nil {
		t.Fatal(err)
	}
	const (
		unfixed = "GO-2: m/p.F of m@v1.0.0 is vulnerable and in use; no release fixes it: avoid the function, or accept it with a reason"
		fixed   = "GO-3: m/p.G of m@v1.0.0 is vulnerable and in use; upgrade to v1.1.0"
		stale   = "GO-9 is accepted but does not occur; remove it from the list"
	)
	for name, c := range map[string]struct {
		accepted string
		want     []string
	}{
		"nothing accepted":         {"# none\n", []string{unfixed, fixed}},
		"one accepted":             {"GO-2 not reached with our input\n", []string{fixed}},
		"accepted despite a fix":   {"GO-2 r\nGO-3 r\n", []string{fixed}},
		"accepted, does not occur": {"GO-2 r\nGO-9 r\n", []string{fixed, stale}},
	} {
		t.Run(name, func(t *testing.T) {
			accepted, err := parseAccepted(c.accepted)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if err := errors.Join(compare(found, accepted)...); err != nil {
				got = err.Error()
			}
			if want := strings.Join(c.want, "\n"); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestAcceptedNeedsReason(t *testing.T) {
	if _, err := parseAccepted("GO-2\n"); err == nil {
		t.Error("a line without a reason is accepted")
	}
}
