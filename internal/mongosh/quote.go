package mongosh

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Quote returns s as a JavaScript string literal in single quotes. Characters that are not
// printable are escaped: line ends, control characters, the separators U+2028 and U+2029,
// bidirectional text marks. Bytes that are not UTF-8 become U+FFFD, since a JavaScript string
// cannot contain them.
func Quote(s string) string {
	var b strings.Builder
	b.Grow(len(s) + 2)
	b.WriteByte('\'')
	for _, r := range s {
		writeEscaped(&b, r)
	}
	b.WriteByte('\'')
	return b.String()
}

func writeEscaped(b *strings.Builder, r rune) {
	switch {
	case r == '\'' || r == '\\':
		b.WriteByte('\\')
		b.WriteRune(r)
	case r == '\n':
		b.WriteString(`\n`)
	case r == '\r':
		b.WriteString(`\r`)
	case r == '\t':
		b.WriteString(`\t`)
	case unicode.IsPrint(r) && r != utf8.RuneError:
		b.WriteRune(r)
	case r > 0xffff:
		fmt.Fprintf(b, `\u{%x}`, r)
	default:
		fmt.Fprintf(b, `\u%04x`, r)
	}
}

// isIdentifier reports whether s is written as an unquoted property name. JavaScript also allows
// names beyond ASCII, which are quoted here.
func isIdentifier(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		letter := c == '_' || c == '$' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// integerKey parses a key that JavaScript may treat as an array index. Objects enumerate such
// keys first and in ascending order, regardless of where they were written.
func integerKey(s string) (uint64, bool) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		// Engines treat a longer run of digits as an ordinary name.
		return 0, false
	}
	return n, strconv.FormatUint(n, 10) == s
}
