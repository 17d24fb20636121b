package declaration_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/ddltail/ddltail/internal/declaration"
)

// large writes a declaration of many collections, each with indexes and a validator.
func large(tb testing.TB, name string, collections, properties int) string {
	tb.Helper()
	var b strings.Builder
	for i := range collections {
		fmt.Fprintf(&b, "db.createCollection('orders_%d', {validator: {$jsonSchema: {bsonType: 'object', properties: {", i)
		for p := range properties {
			fmt.Fprintf(&b, "field_%d: {bsonType: ['string', 'null'], description: 'property %d of the collection, a line of text as people write it'}, ", p, p)
		}
		b.WriteString("}}}})\n")
		fmt.Fprintf(&b, "db.orders_%d.createIndex({customer: 1, at: -1})\ndb.orders_%d.createIndex({email: 1}, {unique: true})\n", i, i)
	}
	script := filepath.Join(tb.TempDir(), "schema.js")
	if err := os.WriteFile(script, []byte("use shop\n"+b.String()), 0o600); err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(tb.TempDir(), name)
	if filepath.Ext(name) == ".js" {
		return script
	}
	d, err := declaration.Read(script)
	if err != nil {
		tb.Fatal(err)
	}
	if err := declaration.Write(path, d.Definitions); err != nil {
		tb.Fatal(err)
	}
	return path
}

// BenchmarkLarge reads a declaration of 50 MB with 20,000 collections in each form.
func BenchmarkLarge(b *testing.B) {
	for _, name := range []string{"schema.js", "schema.json", "schema.yaml", "folder"} {
		b.Run(name, func(b *testing.B) {
			path := large(b, name, 20_000, 20)
			if info, err := os.Stat(path); err == nil && !info.IsDir() {
				b.SetBytes(info.Size())
			}
			runtime.GC()
			b.ResetTimer()
			for b.Loop() {
				d, err := declaration.Read(path)
				if err != nil || len(d.Definitions) != 20_000 {
					b.Fatal(len(d.Definitions), err)
				}
			}
		})
	}
}
