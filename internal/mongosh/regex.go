package mongosh

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

// serverOptions are the letters that mongosh's BSONRegExp takes.
const serverOptions = "imlsux"

// regex writes /pattern/ where JavaScript certainly reads the pattern as it
// is, and a BSONRegExp elsewhere. JavaScript knows only i and m of the server's
// options by the same letter.
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

// Constructs that Go's parser takes and JavaScript does not, or the other way
// round in meaning: groups with (?, escapes by letter other than the common
// classes, POSIX classes, a class whose first character is ], and a repetition of
// ^, $, \b or \B.
var unplainPattern = regexp.MustCompile(`\(\?|\[:|\[\^?\]|\\[^dDwWsSbB.^$*+?()\[\]{}|\-]|(?:\^|\$|\\[bB])[*+?{]`)

// isPlainPattern is careful, not complete: a pattern that is refused here is
// written as a string.
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
