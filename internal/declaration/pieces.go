package declaration

import (
	"bytes"

	"github.com/dop251/goja/ast"
	"github.com/dop251/goja/parser"
)

const (
	// longScript is the size from which a script is parsed in pieces: the syntax tree of a whole
	// script is many times larger than its text.
	longScript = 1 << 20
	pieceSize  = 256 << 10
)

// piece is a part of a script that ends with a statement.
type piece struct {
	program *ast.Program
	// line is how many lines come before it.
	line int
	err  error
}

// parsePieces parses a script piece by piece, one ahead of the reader. It ends at the first
// error, or when done is closed.
func parsePieces(name string, text []byte, done <-chan struct{}) <-chan piece {
	out := make(chan piece, 1)
	go func() {
		defer close(out)
		line := 0
		for len(text) > 0 {
			end := pieceEnd(text, pieceSize)
			p := piece{line: line}
			p.program, p.err = parser.ParseFile(nil, name, useStatements(string(text[:end])), 0)
			line += bytes.Count(text[:end], []byte("\n"))
			text = text[end:]
			select {
			case out <- p:
			case <-done:
				return
			}
			if p.err != nil {
				return
			}
		}
	}()
	return out
}

// pieceEnd returns the end of a line, after at least size bytes, at which a statement certainly
// ends: outside all brackets, after a semicolon, or after a bracket and before a name. It does not
// parse JavaScript; if it is wrong, a piece cannot be parsed.
func pieceEnd(text []byte, size int) int {
	depth, last := 0, byte(0)
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '\n':
			if i >= size && depth == 0 && (last == ';' || last == ')' && beginsName(text[i+1:])) {
				return i + 1
			}
			continue
		case ' ', '\t', '\r':
			continue
		case '\'', '"', '`':
			i = skipQuoted(text, i)
		case '/':
			next, isComment := skipSlash(text, i, last)
			if i = next; isComment {
				continue
			}
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth--
		}
		last = text[min(i, len(text)-1)]
	}
	return len(text)
}

func beginsName(text []byte) bool {
	text = bytes.TrimLeft(text, " \t\r\n")
	if len(text) == 0 {
		return false
	}
	c := text[0]
	return c == '_' || c == '$' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// skipQuoted returns the last byte of a string that begins at i.
func skipQuoted(text []byte, i int) int {
	quote := text[i]
	for i++; i < len(text) && text[i] != quote; i++ {
		if text[i] == '\\' {
			i++
		}
	}
	return i
}

// skipSlash returns the last byte of the token that a slash begins: a comment (without its
// newline), a regular expression or a division.
func skipSlash(text []byte, i int, last byte) (end int, isComment bool) {
	switch rest := text[i:]; {
	case bytes.HasPrefix(rest, []byte("//")):
		if n := bytes.IndexByte(rest, '\n'); n >= 0 {
			return i + n - 1, true
		}
		return len(text), true
	case bytes.HasPrefix(rest, []byte("/*")):
		if n := bytes.Index(rest, []byte("*/")); n >= 0 {
			return i + n + 1, true
		}
		return len(text), true
	case last == 0 || bytes.IndexByte([]byte("(,=:[!&|?{};"), last) >= 0:
		return skipRegex(text, i), false
	}
	return i, false
}

func skipRegex(text []byte, i int) int {
	inClass := false
	for i++; i < len(text) && text[i] != '\n' && (text[i] != '/' || inClass); i++ {
		switch text[i] {
		case '\\':
			i++
		case '[':
			inClass = true
		case ']':
			inClass = false
		}
	}
	return i
}
