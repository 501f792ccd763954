package install

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tablesOfRights are the headings of docs/security.md below which a role's rules stand, in the
// order of the tables of a part.
var tablesOfRights = map[string][]string{
	"## Rights of the controller": {"ClusterRole penstock", "Role penstock-system/penstock"},
	"## Rights of the server":     {"ClusterRole penstock-server", "Role penstock-system/penstock-server", "Role penstock-system/penstock-server-address"},
}

// optional are the ClusterRoles for Secrets, each with what it is for.
var optional = regexp.MustCompile("(?m)^\\| `(penstock-[a-z-]+)` \\| `(penstock(?:-server)?)` \\| ([a-z, ]+) \\|")

// ruleRow is a row of such a table: group and resource, names, verbs.
var ruleRow = regexp.MustCompile("(?m)^\\| `([a-z0-9./]+ [a-z/]+)` \\| ([^|]+) \\| ([a-z, ]+) \\| [^|]+ \\|$")

// bindingRow is a row of the table of bindings.
var bindingRow = regexp.MustCompile("(?m)^\\| `((?:Cluster)?RoleBinding [a-z-]+)` \\| ((?:Cluster)?Role) `([a-z-]+)`(?:, in `([a-z-]+)`)? \\| (ServiceAccount|Group) `([a-z:-]+)`")

func TestTheSecurityPageHasEveryRightOfPenstockAndNoOther(t *testing.T) {
	t.Parallel()
	page := read(t, root+"/docs", "security.md")
	granted := grantedByRole(t, "rights.txt")
	for heading, roles := range tablesOfRights {
		tables := tablesBelow(t, page, heading)
		require.Len(t, tables, len(roles), heading)
		for i, role := range roles {
			require.ElementsMatch(t, granted[role], documentedRules(tables[i]), "%s: %s", heading, role)
		}
	}
	for _, match := range optional.FindAllStringSubmatch(page, -1) {
		require.Equal(t, []string{"core secrets * " + match[3]}, granted["ClusterRole "+match[1]])
		require.Contains(t, granted["RoleBinding team/"+match[1]], "ClusterRole "+match[1]+" to ServiceAccount penstock-system/"+match[2])
	}
	require.Len(t, optional.FindAllString(page, -1), 3)
	for role := range granted {
		require.Contains(t, page, "`"+role[strings.LastIndexAny(role, "/ ")+1:]+"`", "%s is not on the page", role)
	}
}

func TestTheSecurityPageHasEveryBindingOfPenstock(t *testing.T) {
	t.Parallel()
	page := read(t, root+"/docs", "security.md")
	var documented []string
	for _, m := range bindingRow.FindAllStringSubmatch(page, -1) {
		kind, name, _ := strings.Cut(m[1], " ")
		namespace := map[bool]string{true: "", false: "penstock-system/"}[kind == "ClusterRoleBinding"]
		if m[4] != "" {
			namespace = m[4] + "/"
		}
		subject := m[6]
		if m[5] == "ServiceAccount" {
			subject = "penstock-system/" + subject
		}
		documented = append(documented, kind+" "+namespace+name+": "+m[2]+" "+m[3]+" to "+m[5]+" "+subject)
	}
	var granted []string
	for binding, subjects := range grantedByRole(t, "rights.txt") {
		if strings.Contains(binding, "Binding ") && !strings.Contains(binding, " team/") { // those of team are opt-in
			for _, subject := range subjects {
				granted = append(granted, binding+": "+subject)
			}
		}
	}
	require.ElementsMatch(t, granted, documented)
}

// In some namespaces alone, the same is granted as in all of them, without what is in none.
func TestRolesAloneGrantWhatTheClusterRoleDoes(t *testing.T) {
	t.Parallel()
	inNamespaces := slices.DeleteFunc(slices.Clone(grantedByRole(t, "rights.txt")["ClusterRole penstock"]), func(rule string) bool {
		return strings.Contains(rule, "targetclusters") || strings.Contains(rule, "clusterworkflowtemplates") || strings.Contains(rule, "namespaces kube-system")
	})
	require.ElementsMatch(t, inNamespaces, grantedByRole(t, "rights-narrow.txt")["Role one/penstock-watched"])
}

// grantedByRole are the lines of a golden file by what they begin with, with blanks between verbs.
func grantedByRole(t *testing.T, golden string) map[string][]string {
	t.Helper()
	granted := map[string][]string{}
	for _, line := range strings.Split(strings.TrimSpace(read(t, "testdata", golden)), "\n") {
		role, rule, _ := strings.Cut(line, ": ")
		if !strings.Contains(rule, "aggregate-to") {
			granted[role] = append(granted[role], strings.ReplaceAll(rule, ",", ", "))
		}
	}
	require.NotEmpty(t, slices.Collect(maps.Keys(granted)))
	return granted
}

// tablesBelow are the tables of rules of a part of a page.
func tablesBelow(t *testing.T, page, heading string) (tables []string) {
	t.Helper()
	_, part, found := strings.Cut(page, "\n"+heading+"\n")
	require.True(t, found, heading)
	part, _, _ = strings.Cut(part, "\n## ")
	for _, block := range strings.Split(part, "\n\n") {
		if strings.HasPrefix(block, "| resource |") {
			tables = append(tables, block)
		}
	}
	return tables
}

// documentedRules are the rows of a table in the form of the golden file.
func documentedRules(table string) (rules []string) {
	for _, match := range ruleRow.FindAllStringSubmatch(table, -1) {
		names := strings.Trim(match[2], "`")
		if names == "all" {
			names = "*"
		}
		rules = append(rules, match[1]+" "+names+" "+match[3])
	}
	return rules
}
