// Package mongosh writes text for the MongoDB shell: literals, names and
// whole statements that mongosh 2.x runs as they are, from a file, from
// standard input or from --eval.
//
// Every name and every value is data in that text, never code, regardless of the bytes
// it holds. The text is one line of valid UTF-8 without control characters,
// and a statement begins with "db.", so that a line without a semicolon before
// it is none of its business.
//
// Some BSON cannot be written in mongosh: strings that are not UTF-8,
// dates beyond the years that JavaScript knows, undefined, DBPointer, a regular
// expression with an option that no server knows. Where
// that concerns a statement there is none: the function returns "". So does
// it for malformed BSON. No function here panics.
//
// The package is pure: it does no I/O and knows no server.
package mongosh
