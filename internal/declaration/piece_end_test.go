package declaration

import "testing"

// TestPieceEnd: where a script may be cut, behind its first bytes.
func TestPieceEnd(t *testing.T) {
	for text, want := range map[string]int{
		"f(1)\ng(2)\nh":             5,
		"f(1);\n[1].g()\n":          6,
		"f(1)\n(2)\nh()\nx":         9,
		"f(1)\n  .g(2)\nh()":        13,
		"f({\na: ')\\n;'})\nh()":    16,
		"f(`\n)\n`)\nh()":           9,
		"f(/[)\\n/]/) // )\n;\nh()": 19,
		"a / 2; // '\nh()":          12,
		"/* ; \n */ f()\nh()":       14,
		"f(1)":                      4,
		"f('":                       3,
		"f(/":                       3,
		"// x":                      4,
	} {
		if got := pieceEnd([]byte(text), 1); got != want {
			t.Errorf("%q is cut at %d, want %d", text, got, want)
		}
	}
}
