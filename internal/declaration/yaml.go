package declaration

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.yaml.in/yaml/v3"
)

// yamlNode is a value of a YAML document. Values are those of Extended JSON.
type yamlNode struct{ *yaml.Node }

// parseYAML parses a file with a single document.
func parseYAML(name string, data []byte) (node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var root yaml.Node
	if err := decoder.Decode(&root); err != nil {
		return nil, yamlError(name, err)
	}
	var more yaml.Node
	if err := decoder.Decode(&more); err == nil {
		return nil, &Error{File: name, Line: more.Line, Column: more.Column, Problem: "the file has a second document; expected one"}
	}
	return yamlNode{root.Content[0]}, nil
}

func yamlError(name string, err error) error {
	e := &Error{File: name, Problem: "not YAML: " + err.Error()}
	if m := regexp.MustCompile(`^yaml: line (\d+): (.*)$`).FindStringSubmatch(err.Error()); m != nil {
		e.Line, _ = strconv.Atoi(m[1])
		e.Column, e.Problem = 1, "not YAML: "+m[2]
	}
	return e
}

func (n yamlNode) position() (int, int) { return n.Line, n.Column }

func (n yamlNode) fields() []field {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	out := []field{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		out = append(out, field{n.Content[i].Value, yamlNode{n.Content[i+1]}})
	}
	return out
}

func (n yamlNode) elements() []node {
	if n.Kind != yaml.SequenceNode {
		return nil
	}
	out := []node{}
	for _, c := range n.Content {
		out = append(out, yamlNode{c})
	}
	return out
}

func (n yamlNode) text() (string, bool) {
	return n.Value, n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str"
}

func (n yamlNode) document() (bson.D, error) {
	if n.Kind != yaml.MappingNode {
		return nil, errors.New("expected a document")
	}
	var b bytes.Buffer
	if err := writeJSON(&b, n.Node); err != nil {
		return nil, err
	}
	doc := bson.D{}
	if err := bson.UnmarshalExtJSON(b.Bytes(), false, &doc); err != nil {
		return nil, fmt.Errorf("not Extended JSON: %w", err)
	}
	return doc, nil
}

// writeJSON writes a YAML value as Extended JSON. Aliases are refused, because they could expand
// beyond the memory.
func writeJSON(b *bytes.Buffer, n *yaml.Node) error {
	switch n.Kind {
	case yaml.MappingNode:
		return writeMapping(b, n)
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, c := range n.Content {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := writeJSON(b, c); err != nil {
				return err
			}
		}
		b.WriteByte(']')
		return nil
	case yaml.ScalarNode:
		return writeScalar(b, n)
	}
	return fmt.Errorf("line %d: anchors and aliases are not supported", n.Line)
}

func writeMapping(b *bytes.Buffer, n *yaml.Node) error {
	b.WriteByte('{')
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" || seen[key.Value] {
			return fmt.Errorf("line %d: expected the name of a field, once", key.Line)
		}
		seen[key.Value] = true
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(quoted(key.Value))
		b.WriteByte(':')
		if err := writeJSON(b, n.Content[i+1]); err != nil {
			return err
		}
	}
	b.WriteByte('}')
	return nil
}

// quoted returns a JSON string; encoding a string cannot fail.
func quoted(text string) []byte {
	out, _ := json.Marshal(text)
	return out
}

func writeScalar(b *bytes.Buffer, n *yaml.Node) error {
	switch n.ShortTag() {
	case "!!null":
		b.WriteString("null")
	case "!!bool":
		var v bool
		if err := n.Decode(&v); err != nil {
			return fmt.Errorf("line %d: %w", n.Line, err)
		}
		b.WriteString(strconv.FormatBool(v))
	case "!!int":
		var v int64
		if err := n.Decode(&v); err != nil {
			return fmt.Errorf("line %d: %w", n.Line, err)
		}
		b.WriteString(strconv.FormatInt(v, 10))
	case "!!float":
		var v float64
		if err := n.Decode(&v); err != nil {
			return fmt.Errorf("line %d: %w", n.Line, err)
		}
		b.WriteString(float(v))
	default:
		b.Write(quoted(n.Value))
	}
	return nil
}

func float(v float64) string {
	switch {
	case math.IsNaN(v):
		return `{"$numberDouble":"NaN"}`
	case math.IsInf(v, 1):
		return `{"$numberDouble":"Infinity"}`
	case math.IsInf(v, -1):
		return `{"$numberDouble":"-Infinity"}`
	}
	return fmt.Sprintf(`{"$numberDouble":"%s"}`, strconv.FormatFloat(v, 'g', -1, 64))
}
