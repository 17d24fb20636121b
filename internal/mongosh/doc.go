// Package mongosh writes text for the MongoDB shell: literals, names and
// whole statements that mongosh 2.x runs as they are, from a file, from
// standard input or from --eval.
//
// Names and values are data in that text, never code, regardless of their bytes. The text is one
// line of valid UTF-8 without control characters. A statement begins with "db.", so that it is
// also correct after a line without a semicolon.
//
// Some BSON cannot be written in mongosh: strings that are not UTF-8, dates outside the range of
// JavaScript, undefined, DBPointer, a regular expression with an unknown option. If a statement
// would contain such a value, or malformed BSON, the function returns "". No function panics.
//
// The package is pure: it does no I/O.
package mongosh
