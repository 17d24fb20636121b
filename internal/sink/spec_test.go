package sink

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// kinds are two kinds: one with a target and options, and one with neither.
func kinds() Registry {
	return Registry{
		{Name: "plain", Summary: "nothing to set"},
		{Name: "topic", Target: "NAME", Summary: "a topic", Options: []string{KeyName, "format"},
			Variables: []Variable{{Name: "TOPIC_HOSTS"}},
			Check: func(_ Spec, v Values) []Problem {
				if v["TOPIC_HOSTS"] == "" {
					return []Problem{{Variable: "TOPIC_HOSTS", Text: "not set"}}
				}
				return nil
			}},
	}
}

func TestParse(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"plain", "plain  plain map[]"},
		{"plain:", "error: plain has no target"},
		{"plain?name=x", "error: plain has no options"},
		{"topic", "error: want topic:NAME"},
		{"topic:", "error: want topic:NAME"},
		{"topic:a", "topic a topic map[]"},
		{"topic:a:b", "topic a:b topic map[]"},
		{"topic:a%2Cb%3Fc%20%25", "topic a,b?c % topic map[]"},
		{"topic:a%", "error: percent-encode % in the target as %25"},
		{"topic:a?", "topic a topic map[]"},
		{"topic:a?name=b&format=c%26d", "topic a b map[format:c&d name:b]"},
		{"topic:a?format", "error: want key=value"},
		{"topic:a?format=", "error: want key=value"},
		{"topic:a?=x", "error: want key=value"},
		{"topic:a?format=x&format=y", "error: format is set twice"},
		{"topic:a?name=x&name=y", "error: name is set twice"},
		{"topic:a?color=red", "error: unknown option of topic: want some of name, format"},
		{"topic:a?name=a%20b", "error: name: want 1 to 64 of"},
		{"topic:a?name=history", "error: name: history is the label of"},
		{"topic:a?max_bytes=1000", "error: max_bytes: want a number of bytes from 16384"},
		{"topic:a?required=maybe", "error: required: want true or false"},
		{"other", "error: want some of plain, topic:NAME"},
	} {
		s, err := kinds().Parse(c.text)
		got := fmt.Sprint(s.Kind, " ", s.Target, " ", s.Name, " ", s.Options)
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != c.want && (err == nil || !strings.HasPrefix(got, c.want)) {
			t.Errorf("%s: got %s, want %s", c.text, got, c.want)
		}
		if s.String() != c.text {
			t.Errorf("%s is recorded as %s", c.text, s)
		}
	}
}

// TestCheck reports a problem of a kind's variables only if the kind is used, and once.
func TestCheck(t *testing.T) {
	for _, c := range []struct {
		specs []string
		want  int
	}{{[]string{"plain"}, 0}, {[]string{"topic:a", "topic:b"}, 1}} {
		var specs []Spec
		for _, text := range c.specs {
			s, err := kinds().Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			specs = append(specs, s)
		}
		if got := kinds().Check(specs, nil); len(got) != c.want {
			t.Errorf("%q: got %v, want %d problems", c.specs, got, c.want)
		}
	}
}

// TestOpenOrder opens the audit before the queue, and both before what was named first.
func TestOpenOrder(t *testing.T) {
	open := func(outputs ...Output) func(Spec, Values, Resources) ([]Output, error) {
		return func(Spec, Values, Resources) ([]Output, error) { return outputs, nil }
	}
	r := Registry{
		{Name: "copy", Open: open(Output{})},
		{Name: "queue", Open: open(Output{Role: Audit}, Output{Role: Queue})},
		{Name: "audit", Open: open(Output{Role: Audit})},
	}
	outputs, err := r.Open([]Spec{{Kind: "copy"}, {Kind: "queue"}, {Kind: "copy"}, {Kind: "audit"}}, nil, Resources{})
	if err != nil {
		t.Fatal(err)
	}
	var roles []Role
	for _, o := range outputs {
		roles = append(roles, o.Role)
	}
	if want := []Role{Audit, Queue, Copy, Copy}; !slices.Equal(roles, want) {
		t.Errorf("got %v, want %v", roles, want)
	}
}

func TestRegistryTexts(t *testing.T) {
	if got, want := kinds().Summary(), "plain (nothing to set), topic:NAME (a topic)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := kinds().Variables(), []Variable{{Name: "TOPIC_HOSTS"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
