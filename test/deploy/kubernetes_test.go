package deploytest

import (
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/ddltail/ddltail/internal/privileges"
)

// TestKubernetesRole compares the role in docs/kubernetes.md with the table in internal/privileges: they must be equal,
// except for the resource that the operators cannot express.
func TestKubernetesRole(t *testing.T) {
	t.Parallel()
	_, text, found := strings.Cut(read(t, "../../docs/kubernetes.md"), "<!-- role: test/deploy compares it with the table of privileges -->\n```yaml\n")
	text, _, ended := strings.Cut(text, "```\n")
	if !found || !ended {
		t.Fatal("docs/kubernetes.md has no role")
	}
	var roles []struct {
		Privileges []struct {
			Resource struct {
				DB, Collection *string
				Cluster        bool
			}
			Actions []string
		}
	}
	ok(t, yaml.Unmarshal([]byte(text), &roles))
	if len(roles) != 1 {
		t.Fatalf("%d roles", len(roles))
	}
	var need privileges.Need
	for _, p := range roles[0].Privileges {
		resource := privileges.Resource{DB: p.Resource.DB, Collection: p.Resource.Collection, Cluster: p.Resource.Cluster}
		need.Privileges = append(need.Privileges, privileges.Privilege{Resource: resource, Actions: p.Actions})
	}
	use := privileges.Use{Database: "ddltail", MajorVersion: 6}
	want := eachAction(nil, slices.Concat(use.Needs(privileges.Tailed), use.Needs(privileges.Sink)))
	want = slices.DeleteFunc(want, func(action string) bool { return strings.Contains(action, "system_buckets") })
	if got := eachAction(nil, []privileges.Need{need}); !slices.Equal(got, want) {
		t.Errorf("the role may\n%q\nwant\n%q", got, want)
	}
}
