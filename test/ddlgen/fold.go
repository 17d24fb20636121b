package ddlgen

import "go.mongodb.org/mongo-driver/v2/bson"

// Apply applies one notification to the schema, according to the documentation only. It
// returns what is wrong with the notification.
func (s Schema) Apply(doc bson.Raw) []string {
	text := func(field string) string { v, _ := doc.Lookup(field).StringValueOK(); return v }
	after, _ := doc.Lookup("after").DocumentOK()
	ns := text("ns")
	at := s[ns]
	if at == nil {
		switch text("operation") {
		case "CREATE_INDEX", "DROP_INDEX", "MODIFY_COLLECTION", "RENAME_COLLECTION":
			return []string{"reports a namespace that does not exist: " + doc.String()}
		}
	}
	switch op := text("operation"); op {
	case "CREATE_COLLECTION", "CREATE_VIEW", "MODIFY_VIEW", "CONVERT_TO_CAPPED":
		s[ns] = defined(after)
	case "DROP_COLLECTION", "DROP_VIEW":
		delete(s, ns)
	case "CREATE_INDEX":
		at.Indexes[text("index_name")] = Canonical(after)
	case "DROP_INDEX":
		delete(at.Indexes, text("index_name"))
	case "MODIFY_COLLECTION":
		if name := text("index_name"); name != "" {
			at.Indexes[name] = Canonical(after)
		} else {
			at.Options = Canonical(after)
		}
	case "RENAME_COLLECTION":
		s[text("to")] = at
		delete(s, ns)
	case "REPLACE_COLLECTION":
		options, _ := after.Lookup("options").DocumentOK()
		d := defined(options)
		specs, _ := after.Lookup("indexes").Array().Values()
		for _, spec := range specs {
			d.Indexes[spec.Document().Lookup("name").StringValue()] = Canonical(spec.Document())
		}
		s[ns] = d
	case "DROP_DATABASE", "ABORT_INDEX_BUILD":
	default:
		return []string{"unexpected: " + doc.String()}
	}
	return nil
}

func defined(options bson.Raw) *Definition {
	return &Definition{Options: Canonical(options), Indexes: map[string]string{}}
}
