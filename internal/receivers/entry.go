package receivers

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// entry is one receiver as configured in the file.
type entry struct {
	Name         scalar            `yaml:"name"`
	Template     scalar            `yaml:"template"`
	URL          scalar            `yaml:"url"`
	URLFile      scalar            `yaml:"url_file"`
	Headers      map[string]header `yaml:"headers"`
	TLS          tlsEntry          `yaml:"tls"`
	Proxy        scalar            `yaml:"proxy"`
	SecretFile   scalar            `yaml:"secret_file"`
	Filter       filterEntry       `yaml:"filter"`
	Digest       scalar            `yaml:"digest"`
	Rate         scalar            `yaml:"rate"`
	GiveUpAfter  scalar            `yaml:"give_up_after"`
	ResolveAfter scalar            `yaml:"resolve_after"`
	RoutingKey   scalar            `yaml:"routing_key_file"`
}

type tlsEntry struct {
	CAFile   scalar `yaml:"ca_file"`
	CertFile scalar `yaml:"cert_file"`
	KeyFile  scalar `yaml:"key_file"`
}

type filterEntry struct {
	Operations []scalar `yaml:"operations"`
	Namespaces []scalar `yaml:"namespaces"`
	Risk       []scalar `yaml:"risk"`
	User       []scalar `yaml:"user"`
	App        []scalar `yaml:"app"`
}

// scalar is a value with its line number.
type scalar struct {
	text string
	line int
}

// UnmarshalYAML accepts any value that is neither list nor map.
func (s *scalar) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: want a single value, not a list or a map", n.Line)}}
	}
	if n.Tag != "!!null" {
		s.text = strings.TrimSpace(n.Value)
	}
	s.line = n.Line
	return nil
}

// header is the value of a header, or the path of the file that contains it.
type header struct {
	value, file scalar
}

// UnmarshalYAML accepts a value, or a map with the key file.
func (h *header) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		return h.value.UnmarshalYAML(n)
	}
	if n.Kind != yaml.MappingNode || len(n.Content) != 2 || n.Content[0].Value != "file" {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: want a header's value, or {file: PATH}", n.Line)}}
	}
	return h.file.UnmarshalYAML(n.Content[1])
}
