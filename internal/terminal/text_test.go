package terminal

import (
	"testing"
	"unicode"

	"pgregory.net/rapid"
)

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		"payments":           "payments",
		"a\x1b[31mred":       `a\u001b[31mred`,
		"two\nlines\r\t":     `two\nlines\r\t`,
		"\xff\xfe":           `\xff\xfe`,
		"\uFFFD":             `\ufffd`,
		"日本":                 "日本",
		"right\u202eto left": `right\u202eto left`,
		"\U000E0001":         `\u{e0001}`,
		"\u2028":             `\u2028`,
	} {
		if got := Escape(in); got != want {
			t.Errorf("Escape(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestWidth(t *testing.T) {
	for in, want := range map[string]int{"": 0, "abc": 3, "日本": 4, "e\u0301": 1, "…": 1} {
		if got := Width(in); got != want {
			t.Errorf("Width(%q) = %d, want %d", in, got, want)
		}
	}
}

func TestFitIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Escape(rapid.String().Draw(t, "s"))
		n := rapid.IntRange(1, 40).Draw(t, "n")
		fitted := Fit(s, n)
		if Width(fitted) != n {
			t.Fatalf("Fit(%q, %d) = %q is %d cells wide", s, n, fitted, Width(fitted))
		}
		for _, r := range fitted {
			if !unicode.IsPrint(r) {
				t.Fatalf("%q holds %q", fitted, r)
			}
		}
	})
}
