package sink

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// KeyName is the option that sets the label of a sink.
const KeyName = "name"

// Spec is the specification of one sink: kind[:target][?key=value&…]. Reserved characters in
// target and values are percent-encoded.
type Spec struct {
	// Text is the specification as it was configured.
	Text         string
	Kind, Target string
	// Name is the sink's label; the kind if none was given.
	Name string
	// Options are the other keys with their values.
	Options map[string]string
}

// String returns the specification as it was configured.
func (s Spec) String() string { return s.Text }

// parseSpec reads a specification. Which kinds and options exist is not checked here.
func parseSpec(text string) (Spec, error) {
	head, query, _ := strings.Cut(text, "?")
	kind, target, _ := strings.Cut(head, ":")
	s := Spec{Text: text, Kind: kind, Name: kind}
	var err error
	if s.Target, err = url.PathUnescape(target); err != nil {
		return s, errors.New("percent-encode % in the target as %25")
	}
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		key, value, ok := strings.Cut(pair, "=")
		if value, err = url.PathUnescape(value); err != nil || !ok || key == "" || value == "" {
			return s, errors.New("want key=value&… after the question mark, reserved characters percent-encoded")
		}
		if err := s.set(key, value); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (s *Spec) set(key, value string) error {
	if _, set := s.Options[key]; set || key == KeyName && s.Name != s.Kind {
		return fmt.Errorf("%s is set twice", key)
	}
	if key == KeyName {
		s.Name = value
		return checkName(value)
	}
	if s.Options == nil {
		s.Options = map[string]string{}
	}
	s.Options[key] = value
	return nil
}

// checkName refuses the labels of what every detector writes to.
func checkName(name string) error {
	if !regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`).MatchString(name) {
		return errors.New("name: want 1 to 64 of A-Z a-z 0-9 . _ -")
	}
	if slices.Contains([]string{"checkpoint", "catalog", HistoryName}, name) {
		return fmt.Errorf("name: %s is the label of a collection of ddltail's own", name)
	}
	return nil
}
