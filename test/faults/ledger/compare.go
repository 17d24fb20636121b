package ledger

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Counts is how what was told compares with what happened.
type Counts struct {
	// Made is the number of changes, Notified that of documents.
	Made, Notified int
	// Lost changes have no document.
	Lost int
	// Doubled are documents that tell again, under whatever _id, a change that another document tells.
	Doubled int
	// Phantom documents tell what did not happen, or not at that optime.
	Phantom int
	// OutOfOrder documents stand before one that tells an earlier change, in the order of writing or in that of their _ids, or have
	// another _id than their place in the oplog gives them.
	OutOfOrder int
	// Problems name the first of each kind.
	Problems []string
}

func (c Counts) String() string {
	return fmt.Sprintf("%d changes made, %d notified, %d lost, %d doubled, %d phantom, %d out of order",
		c.Made, c.Notified, c.Lost, c.Doubled, c.Phantom, c.OutOfOrder)
}

// Sound says that the last four are zero, and every change is notified.
func (c Counts) Sound() bool {
	return c.Made == c.Notified && c.Lost+c.Doubled+c.Phantom+c.OutOfOrder == 0
}

// Within keeps what lies behind one moment and up to another.
func Within[T interface{ at() bson.Timestamp }](all []T, after, upTo bson.Timestamp) []T {
	return slices.DeleteFunc(slices.Clone(all), func(one T) bool {
		return !one.at().After(after) || one.at().After(upTo)
	})
}

func (c Change) at() bson.Timestamp   { return c.OpTime.TS }
func (d Document) at() bson.Timestamp { return d.OpTime.TS }

// content is what makes two documents tell the same change.
type content struct {
	Effect
	OpTime OpTime
}

// Compare holds documents, in the order of their writing, against what happened, in the order of the oplog. Source is the first
// part of every _id.
func Compare(made []Change, told []Document, source string) Counts {
	c := Counts{Made: len(made), Notified: len(told)}
	// Where a content is there several times, they stand in order: the first one that is not taken yet is meant.
	places := map[content][]int{}
	for i, change := range made {
		k := content{change.Effect, change.OpTime}
		places[k] = append(places[k], i)
	}
	taken := map[content]int{}
	var written []placed
	for _, d := range told {
		k := content{d.Effect, d.OpTime}
		switch n := taken[k]; {
		case n < len(places[k]):
			taken[k]++
			place := places[k][n]
			written = append(written, placed{d.ID, place})
			if d.ID != made[place].ID(source) {
				c.problem(&c.OutOfOrder, "has the wrong _id: %s %s, want %s", d.ID, d.Effect, made[place].ID(source))
			}
		case n > 0:
			c.problem(&c.Doubled, "doubled: %s %s", d.ID, d.Effect)
		default:
			c.problem(&c.Phantom, "phantom: %s %s at %v", d.ID, d.Effect, d.OpTime)
		}
	}
	for _, change := range made {
		k := content{change.Effect, change.OpTime}
		if taken[k]--; taken[k] < 0 {
			c.problem(&c.Lost, "lost: %s %s", change.ID(source), change.Effect)
		}
	}
	c.order("written", written)
	slices.SortStableFunc(written, func(a, b placed) int { return cmp.Compare(a.id, b.id) })
	c.order("by _id", written)
	return c
}

// placed is a document with the place in the oplog's order of the change it tells.
type placed struct {
	id    string
	place int
}

func (c *Counts) order(by string, documents []placed) {
	newest := -1
	for _, d := range documents {
		if d.place < newest {
			c.problem(&c.OutOfOrder, "out of order, %s: %s", by, d.id)
		}
		newest = max(newest, d.place)
	}
}

// manyProblems is enough to see what is wrong.
const manyProblems = 40

func (c *Counts) problem(count *int, format string, args ...any) {
	*count++
	if len(c.Problems) < manyProblems {
		c.Problems = append(c.Problems, fmt.Sprintf(format, args...))
	}
}

// Explain returns the problems a line each.
func (c Counts) Explain() string { return strings.Join(c.Problems, "\n") }
