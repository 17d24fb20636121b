// Package terminal formats human-readable text: escaped names, aligned columns, colours.
package terminal

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// Escape makes a text printable on one line: control characters, bidirectional text marks, and bytes
// that are not UTF-8 are escaped, so that a name cannot control a terminal or end a line.
func Escape(s string) string {
	if !strings.ContainsFunc(s, unprintable) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unprintable(r) && r > 0xffff:
			fmt.Fprintf(&b, `\u{%x}`, r)
		case unprintable(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func unprintable(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }

// Width returns the width of a printable text in terminal cells.
func Width(s string) int {
	n := 0
	for _, r := range s {
		n += cells(r)
	}
	return n
}

func cells(r rune) int {
	if r < 0x300 {
		return 1
	}
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// Cut truncates a text to at most n cells, with an ellipsis as the last one. With n below 1 the text
// is not truncated.
func Cut(s string, n int) string {
	if n < 1 || Width(s) <= n {
		return s
	}
	at, used := 0, 0
	for i, r := range s {
		if used+cells(r) > n-1 {
			break
		}
		used += cells(r)
		at = i + utf8.RuneLen(r)
	}
	return s[:at] + "…"
}

// Pad pads a text with spaces to n cells.
func Pad(s string, n int) string {
	return s + strings.Repeat(" ", max(0, n-Width(s)))
}

// Fit truncates or pads a text to exactly n cells.
func Fit(s string, n int) string { return Pad(Cut(s, n), n) }
