package sink

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The options that several kinds have.
const (
	// KeyName sets the label of a sink.
	KeyName = "name"
	// KeyRequired is whether the checkpoint waits for the sink.
	KeyRequired = "required"
	// KeyMaxBytes is the limit of a message.
	KeyMaxBytes = "max_bytes"
	// KeyFormat is how a document becomes a message.
	KeyFormat = "format"
)

// The range of max_bytes. Every reduced document fits the lower end; no broker accepts more
// than the upper.
const (
	minMaxBytes = 16 << 10
	maxMaxBytes = 64 << 20
)

// Spec is the specification of one sink: kind[:target][?key=value&…]. Reserved characters in
// target and values are percent-encoded.
type Spec struct {
	// Text is the specification as it was configured.
	Text         string
	Kind, Target string
	// Name is the sink's label; the kind if none was given.
	Name string
	// BestEffort is true if the checkpoint does not wait for the sink.
	BestEffort bool
	// MaxBytes is the limit of a message; 0 if none was given.
	MaxBytes int
	// Options are the given keys with their values.
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
	if _, set := s.Options[key]; set {
		return fmt.Errorf("%s is set twice", key)
	}
	if s.Options == nil {
		s.Options = map[string]string{}
	}
	s.Options[key] = value
	switch key {
	case KeyName:
		s.Name = value
		return checkName(value)
	case KeyRequired:
		required, err := strconv.ParseBool(value)
		if err != nil {
			return errors.New("required: want true or false")
		}
		s.BestEffort = !required
	case KeyMaxBytes:
		n, err := strconv.Atoi(value)
		if err != nil || n < minMaxBytes || n > maxMaxBytes {
			return fmt.Errorf("max_bytes: want a number of bytes from %d to %d", minMaxBytes, maxMaxBytes)
		}
		s.MaxBytes = n
	}
	return nil
}

// checkName refuses the labels of ddltail's own collections.
func checkName(name string) error {
	if !regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`).MatchString(name) {
		return errors.New("name: want 1 to 64 of A-Z a-z 0-9 . _ -")
	}
	if slices.Contains([]string{Checkpoint, Catalog, HistoryName}, name) {
		return fmt.Errorf("name: %s is the label of one of ddltail's own collections", name)
	}
	return nil
}
