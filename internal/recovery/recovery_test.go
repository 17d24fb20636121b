package recovery_test

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/recovery"
	"github.com/ddltail/ddltail/internal/replicaset"
)

// textCase is one paragraph of a file of cases.
type textCase struct {
	name, want string
	lines      []string
}

func readCases(t *testing.T, path string) []textCase {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var cases []textCase
	for _, paragraph := range strings.Split(string(text), "\n\n") {
		var c textCase
		for _, line := range strings.Split(strings.TrimSpace(paragraph), "\n") {
			if name, ok := strings.CutPrefix(line, "# "); ok {
				c.name = strings.TrimPrefix(c.name+" "+name, " ")
			} else if want, ok := strings.CutPrefix(line, "=> "); ok {
				c.want = want
			} else {
				c.lines = append(c.lines, line)
			}
		}
		if c.want != "" {
			cases = append(cases, c)
		}
	}
	if len(cases) == 0 {
		t.Fatalf("%s has no cases", path)
	}
	return cases
}

func optime(seconds uint32) oplog.OpTime {
	return oplog.OpTime{TS: bson.Timestamp{T: seconds, I: 1}, Term: 1}
}

// answers are what a member can answer, about the position 100.
func answers() map[string]error {
	at := func(oldest, head uint32) error {
		return &oplog.PositionError{Position: optime(100), Oldest: optime(oldest), Head: optime(head)}
	}
	return map[string]error{
		"truncated":          at(150, 200),
		"behind":             at(10, 90),
		"other-history":      at(10, 200),
		"broken-transaction": &oplog.ChainError{},
		"network":            errors.New("connection refused"),
	}
}

func TestAssess(t *testing.T) {
	now := time.Now()
	for _, c := range readCases(t, "testdata/assess.txt") {
		t.Run(c.name, func(t *testing.T) {
			s := recovery.Survey{View: replicaset.View{Unreachable: map[string]error{}}, Failures: map[string]error{}}
			for _, line := range c.lines {
				words := strings.Fields(line)
				switch words[0] {
				case "direct":
					s.Direct = true
				case "unreachable":
					s.View.Unreachable[words[1]] = errors.New("down")
				case "since":
					lasted, err := time.ParseDuration(words[1])
					if err != nil {
						t.Fatal(err)
					}
					s.LackingSince = now.Add(-lasted)
				default:
					answer, known := answers()[words[2]]
					if !known {
						t.Fatalf("unknown answer %q", words[2])
					}
					s.View.Members = append(s.View.Members, replicaset.Member{Host: words[0], Primary: words[1] == "primary"})
					s.Failures[words[0]] = answer
				}
			}
			since, err := recovery.Assess(s, now)
			if got := verdict(since, err); got != c.want {
				t.Errorf("got %q, want %q (%v)", got, c.want, err)
			}
		})
	}
}

func verdict(since time.Time, err error) string {
	var lost *recovery.LostError
	switch {
	case errors.As(err, &lost):
		return "lost: " + string(lost.Cause)
	case err == nil:
		return "no error"
	case since.IsZero():
		return "retry, wait restarted"
	}
	return "retry"
}

func TestResumePoint(t *testing.T) {
	for _, c := range readCases(t, "testdata/resume.txt") {
		t.Run(c.name, func(t *testing.T) {
			var cause []string
			var h recovery.Held
			fields := map[string]*oplog.Moment{
				"position": &h.Position, "oldest": &h.Oldest, "listed": &h.Listed, "at-position": &h.AtPosition, "chain-end": &h.ChainEnd,
			}
			for _, word := range strings.Fields(strings.Join(c.lines, " ")) {
				key, value, ok := strings.Cut(word, "=")
				if !ok {
					cause = append(cause, word)
					continue
				}
				value, inclusive := strings.CutSuffix(value, "+")
				h.Inclusive = h.Inclusive || inclusive
				seconds, err := strconv.ParseUint(value, 10, 32)
				if err != nil {
					t.Fatal(err)
				}
				*fields[key] = oplog.Moment{OpTime: optime(uint32(seconds))}
			}
			got := "wait"
			if r, err := recovery.ResumePoint(recovery.Cause(strings.Join(cause, " ")), h); err == nil {
				got = fmt.Sprint(r.At.TS.T)
				if r.Inclusive {
					got += "+"
				}
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
