package schema

import (
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/mongosh"
)

// becomesCapped says whether convertToCapped makes one of the other: it keeps all
// other options, and no index.
func becomesCapped(from, to bson.Raw) bool {
	return slices.Equal(differing(from, to), []string{"capped", "size"}) && flag(to, "capped")
}

func convertToCapped(n Named) Step {
	text := mongosh.ConvertToCapped(n.Namespace.Database, n.Namespace.Collection, n.Definition.Options)
	return step(text, "make capped", n.Namespace)
}

// creatable gives the options that create takes, and what makes the rest of them. A
// clustered collection can become capped, but create refuses to make such a one.
func creatable(n Named) (bson.Raw, Script) {
	options := n.Definition.Options
	_, err := options.LookupErr("clusteredIndex")
	if err != nil || !flag(options, "capped") {
		return options, nil
	}
	after := Script{convertToCapped(n)}
	if limit, err := options.LookupErr("max"); err == nil {
		after = append(after, modify(n.Namespace, bson.D{{Key: "cappedMax", Value: limit}}))
	}
	return sorted(options, func(el bson.RawElement) bool { return slices.Contains([]string{"capped", "size", "max"}, el.Key()) }), after
}
