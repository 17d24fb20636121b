package deploytest

import (
	"slices"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/privileges"
)

// TestCreateUserGrantsTheTable checks that create-user.js grants exactly the privileges of the table in internal/privileges.
func TestCreateUserGrantsTheTable(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		use       privileges.Use
		variables []string
	}{
		"run":              {privileges.Use{}, nil},
		"run_with_removal": {privileges.Use{HistoryTTL: true}, []string{"DDLTAIL_HISTORY_TTL=24h"}},
		"run_with_actors":  {privileges.Use{HistoryTTL: true, Actor: true, GetLog: true}, []string{"DDLTAIL_HISTORY_TTL=24h", "DDLTAIL_ACTOR=getlog"}},
		"listen":           {privileges.Use{Role: privileges.Listen}, []string{"DDLTAIL_ROLE=listen"}},
		"history":          {privileges.Use{Role: privileges.History}, []string{"DDLTAIL_ROLE=history"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			database := "table_" + name
			out, code := createUser(t, secured.URI(), append(c.variables, "DDLTAIL_USER="+database, "DDLTAIL_DATABASE="+database, "DDLTAIL_PASSWORD="+password)...)
			if code != 0 {
				t.Fatalf("exit %d: %s", code, out)
			}
			role := "ddltail_run_" + database
			if c.use.Role != "" {
				role = "ddltail_" + string(c.use.Role) + "_" + database
			}
			c.use.Database, c.use.MajorVersion = database, majorVersion(t)
			want := eachAction(nil, c.use.Needs(privileges.Tailed))
			want = eachAction(want, c.use.Needs(privileges.Sink))
			got := eachAction(nil, []privileges.Need{{Privileges: granted(t, role)}})
			if !slices.Equal(got, want) {
				t.Errorf("%s may\n%q\nwant\n%q", role, got, want)
			}
		})
	}
}

// eachAction adds each action on a resource to a sorted list without duplicates.
func eachAction(list []string, needs []privileges.Need) []string {
	for _, n := range needs {
		for _, p := range n.Privileges {
			for _, action := range p.Actions {
				list = append(list, p.Resource.String()+" "+action)
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// granted returns the privileges of a role.
func granted(t *testing.T, role string) []privileges.Privilege {
	t.Helper()
	var reply struct {
		Roles []struct {
			Privileges []privileges.Privilege `bson:"privileges"`
		} `bson:"roles"`
	}
	ok(t, asRoot(t).Database("admin").RunCommand(t.Context(), bson.D{{Key: "rolesInfo", Value: role}, {Key: "showPrivileges", Value: true}}).Decode(&reply))
	if len(reply.Roles) != 1 {
		t.Fatalf("%d roles %s", len(reply.Roles), role)
	}
	return reply.Roles[0].Privileges
}

func majorVersion(t *testing.T) int {
	t.Helper()
	var info struct {
		Version []int `bson:"versionArray"`
	}
	ok(t, asRoot(t).Database("admin").RunCommand(t.Context(), bson.D{{Key: "buildInfo", Value: 1}}).Decode(&info))
	return info.Version[0]
}
