package config

import (
	"os"
	"slices"
	"strings"

	"github.com/ddltail/ddltail/internal/sink"
	"github.com/ddltail/ddltail/internal/sink/registry"
)

// sinks reads the specifications of the sinks and the variables that their kinds declare.
func (c *checker) sinks(value string) ([]sink.Spec, sink.Values) {
	kinds := registry.Kinds()
	var specs []sink.Spec
	for _, text := range list(value) {
		spec, err := kinds.Parse(text)
		if err != nil {
			c.fail("SINKS", "%s: %v", shown(text), err)
			return nil, nil
		}
		if !slices.ContainsFunc(specs, func(s sink.Spec) bool { return s.Text == text }) {
			specs = append(specs, spec)
		}
	}
	if len(specs) == 0 {
		c.fail("SINKS", "no sink: want some of %s", kinds.Forms())
	}
	values := sinkValues(kinds)
	for _, p := range kinds.Check(specs, values) {
		c.fail(p.Variable, "%s", p.Text)
	}
	return specs, values
}

// sinkValues reads the variables of all kinds; nil if none is set.
func sinkValues(kinds sink.Registry) sink.Values {
	var values sink.Values
	for _, v := range kinds.Variables() {
		text := strings.TrimSpace(os.Getenv(prefix + v.Name))
		if text == "" {
			text = v.Default
		}
		if text == "" {
			continue
		}
		if values == nil {
			values = sink.Values{}
		}
		values[v.Name] = text
	}
	return values
}
