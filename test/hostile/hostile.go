// Package hostile has names of databases, collections and users that no output may
// interpret. All tests of outputs use this one list.
package hostile

import "strings"

// Names returns the names: markup, mentions, templates, ends of lines, directions of
// text, commands to a terminal, formulas, and 200 characters.
func Names() []string {
	return []string{
		"<script>alert(1)</script>",
		"*bold*|<!channel>",
		"{{.}} {{template \"x\"}}",
		"two\nlines\r\n\ttab",
		strings.Repeat("long", 50),
		"\u202egnirts\u202c مرحبا",
		"\x1b[2J\x1b]0;title\x07\u009b31m",
		`"quotes" \ and 'quotes' \u0022`,
		"[link](https://example.com) @everyone <at>all</at>",
		"&lt;b&gt; &amp; <b>",
		"_it_ ~no~ `code` > quote\u2028",
		"=cmd|' /C calc'!A0",
		"'); db.dropDatabase(); //",
		"日本語の支払い :smile: 🦀",
	}
}
