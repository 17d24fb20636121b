package declaration

import (
	"bytes"
	"regexp"

	"go.yaml.in/yaml/v3"
)

// yamlOf converts JSON to YAML. JSON is valid YAML: only the styles are changed, to indentation
// instead of brackets, and to plain text if quotes are not needed.
func yamlOf(text []byte) ([]byte, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, err
	}
	restyle(&root, regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`))
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(&root); err != nil {
		return nil, err
	}
	return b.Bytes(), enc.Close()
}

// restyle keeps values on one line that the JSON has on one line, such as a key.
func restyle(n *yaml.Node, plain *regexp.Regexp) {
	switch {
	case n.Kind == yaml.ScalarNode && plain.MatchString(n.Value):
		// The encoder quotes strings that would be read as another type, such as "true".
		n.Style = 0
	case len(n.Content) > 0 && n.Content[0].Line != n.Line:
		n.Style = 0
	}
	for _, c := range n.Content {
		restyle(c, plain)
	}
}
