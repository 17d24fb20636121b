package migration

import (
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/mongosh"
	"github.com/ddltail/ddltail/internal/rawdoc"
	"github.com/ddltail/ddltail/internal/schema"
)

// becomesCapped reports whether convertToCapped changes one into the other. It keeps all other
// options, but no index.
func becomesCapped(from, to bson.Raw) bool {
	return slices.Equal(schema.DifferingOptions(from, to), []string{"capped", "size"}) && rawdoc.Truthy(to.Lookup("capped"))
}

func convertToCapped(n schema.Named) Step {
	text := mongosh.ConvertToCapped(n.Namespace.Database, n.Namespace.Collection, n.Definition.Options)
	return step(text, "make capped", n.Namespace)
}
