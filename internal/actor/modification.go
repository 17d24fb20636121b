package actor

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// modification is the parameters of a collMod. Two are compared leniently: values that cannot be compared count as equal, which can
// only add a candidate, not select a wrong actor.
type modification struct {
	parameters object
	cut        bool // the line is truncated: parameters may be missing
}

// parseModification reads the parameters of a collMod from its entry's o, as Extended JSON.
func parseModification(raw string) modification {
	if raw == "" {
		return modification{cut: true}
	}
	p := parser{dec: json.NewDecoder(bytes.NewReader([]byte(raw))), size: int64(len(raw)) + 1}
	p.dec.UseNumber()
	value, err := p.value(0)
	parameters, _ := value.(object)
	return modification{parameters: parameters, cut: err != nil}
}

// allows reports whether a line's command can have written an entry: they have common parameters, and those do not differ. In what is
// truncated, a parameter and its value can be incomplete: it counts as any.
func (m modification) allows(entry modification) bool {
	if m.cut || entry.cut {
		return true
	}
	shared := 0
	for name, want := range entry.parameters {
		have, exists := m.parameters[name]
		if name == "collMod" || !exists {
			continue
		}
		if !mayEqual(want, have) {
			return false
		}
		shared++
	}
	return shared > 0 || len(entry.parameters) <= 1
}

// mayEqual reports whether two values can be the same. The log and the entry have different forms of some types, and the server adds
// defaults.
func mayEqual(a, b any) bool {
	switch x := a.(type) {
	case string:
		y, ok := b.(string)
		if !ok {
			return true
		}
		if x == y { // NaN, as a number, is not equal to itself
			return true
		}
		m, errM := strconv.ParseFloat(x, 64)
		n, errN := strconv.ParseFloat(y, 64)
		return errM == nil && errN == nil && m == n
	case bool:
		y, ok := b.(bool)
		return !ok || x == y
	case object:
		y, ok := b.(object)
		if !ok {
			return true
		}
		for name, value := range x {
			if other, exists := y[name]; exists && !mayEqual(value, other) {
				return false
			}
		}
	}
	return true
}
