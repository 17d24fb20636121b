package mongosh

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

// serverOptions are the letters that mongosh's BSONRegExp accepts.
const serverOptions = "imlsux"

// regex writes /pattern/ if JavaScript certainly reads the pattern unchanged, and a BSONRegExp
// otherwise. Of the server's options, only i and m have the same letter in JavaScript.
func (w *writer) regex(pattern, options string) {
	if strings.Trim(options, "im") == "" && !repeats(options) && isPlainPattern(pattern) {
		w.text("/" + pattern + "/" + sorted(options))
		return
	}
	if strings.Trim(options, serverOptions) != "" {
		w.lossy = true
	}
	w.text("BSONRegExp(")
	w.string(pattern)
	w.text(", ")
	w.string(sorted(options))
	w.text(")")
}

func sorted(options string) string {
	letters := []byte(options)
	slices.Sort(letters)
	return string(letters)
}

func repeats(options string) bool {
	for i := range options {
		if strings.IndexByte(options, options[i]) != i {
			return true
		}
	}
	return false
}

// unplainPattern matches constructs that Go's parser accepts and JavaScript does not, or that
// have another meaning there: groups with (?, escapes by letter other than the common classes,
// POSIX classes, a class whose first character is ], a repetition of ^, $, \b or \B, and a number
// of repetitions with a leading zero, which Go reads as text.
var unplainPattern = regexp.MustCompile(`\(\?|\[:|\[\^?\]|\\[^dDwWsSbB.^$*+?()\[\]{}|\-]|(?:\^|\$|\\[bB])[*+?{]|\{(?:[0-9]+,)?0[0-9]`)

// isPlainPattern is conservative: a pattern for which it returns false is written as a string.
func isPlainPattern(pattern string) bool {
	for i := 0; i < len(pattern); i++ {
		if c := pattern[i]; c < ' ' || c > '~' || c == '/' {
			return false
		}
	}
	if pattern == "" || unplainPattern.MatchString(pattern) {
		return false
	}
	_, err := syntax.Parse(pattern, syntax.Perl)
	return err == nil
}
