package mongosh

import "strings"

// DBMembers is the table of names that are no collections.
func DBMembers() []string { return strings.Fields(dbMembers) }
