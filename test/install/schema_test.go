package install

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheSchemaRefusesValuesThatCannotWork(t *testing.T) {
	t.Parallel()
	const address = "database.url=postgres://penstock:secret@db.example.com/penstock"
	for sentence, tc := range map[string]struct {
		set []string
		at  string
	}{
		"a value that is not known":                              {[]string{"replica=2"}, "replica"},
		"a value that is not known, in a section":                {[]string{"server.replica=2"}, "replica"},
		"a number of replicas that is none":                      {[]string{"replicas=two"}, "/replicas"},
		"fewer than no replicas":                                 {[]string{"replicas=-1"}, "/replicas"},
		"a variable that is no string":                           {[]string{"env.KUBE_API_QPS=50"}, "/env/KUBE_API_QPS"},
		"a variable in small letters":                            {[]string{"env.kube_api_qps=\"50\""}, "kube_api_qps"},
		"the variable with the database, which the chart sets":   {[]string{"env.DATABASE_URL=postgres://db.example.com"}, "DATABASE_URL"},
		"the same as an extra variable":                          {[]string{"extraEnv[0].name=DATABASE_URL"}, "/extraEnv/0/name"},
		"an extra variable without a name":                       {[]string{"extraEnv[0].value=a"}, "/extraEnv/0"},
		"a volume without a name":                                {[]string{"extraVolumes[0].configMap.name=a"}, "/extraVolumes/0"},
		"the server beside Roles in some namespaces":             {append([]string{"server.enabled=true"}, without(narrow, "server.enabled=false")...), "/server/enabled"},
		"admission policies beside Roles in some namespaces":     {append([]string{"admission.enabled=true"}, without(narrow, "admission.enabled=false")...), "/admission/enabled"},
		"ClusterRoles beside Roles in some namespaces":           {append([]string{"roles.enabled=true"}, without(narrow, "roles.enabled=false")...), "/roles/enabled"},
		"namespaces in two ways":                                 {append([]string{"env.WATCH_NAMESPACES=three"}, narrow...), "/env/WATCH_NAMESPACES"},
		"a namespace that can't be one":                          {append([]string{"watchNamespaces={One}"}, narrow[1:]...), "/watchNamespaces/0"},
		"a namespace twice":                                      {append([]string{"watchNamespaces={one,one}"}, narrow[1:]...), "/watchNamespaces"},
		"a Secret and a URL of the database":                     {[]string{address, "database.existingSecret=other"}, "/database"},
		"a URL of the database that is none of Postgres":         {[]string{"database.url=mysql://db.example.com"}, "/database/url"},
		"a key for a password, and a URL, and no password":       {[]string{address, "database.passwordKey=password"}, "/database/password"},
		"a password without a key":                               {[]string{address, "database.password=secret"}, "/database/passwordKey"},
		"the bundled Postgres and a URL":                         {[]string{address, "postgres.bundled=true"}, "/database/url"},
		"the bundled Postgres and a Secret":                      {[]string{"postgres.bundled=true", "database.existingSecret=other"}, "/database/existingSecret"},
		"a volume for Postgres without a size":                   {[]string{"postgres.storage=large"}, "/postgres/storage"},
		"an Ingress without a host":                              {[]string{"server.ingress.enabled=true"}, "/server/ingress/host"},
		"an Ingress for webhooks without a host":                 {[]string{"webhooks.ingress.enabled=true"}, "/webhooks/ingress/host"},
		"an identity provider without TLS":                       {[]string{"server.oidc.issuerUrl=http://sso.example.com", "server.oidc.clientId=penstock"}, "/server/oidc/issuerUrl"},
		"an identity provider without a client":                  {[]string{"server.oidc.issuerUrl=https://sso.example.com"}, "/server/oidc/clientId"},
		"the provider as a variable, which gives no rights":      {[]string{"server.env.OIDC_ISSUER_URL=https://sso.example.com"}, "OIDC_ISSUER_URL"},
		"a path that begins with no slash":                       {[]string{"server.ingress.path=api"}, "/server/ingress/path"},
		"a URL of the server without TLS":                        {[]string{"server.url=http://penstock.example.com"}, "/server/url"},
		"a ServiceAccount of somebody else without a name":       {[]string{"serviceAccount.create=false"}, "/serviceAccount/name"},
		"a ServiceAccount of the server without a name":          {[]string{"server.serviceAccount.create=false"}, "/server/serviceAccount/name"},
		"a policy for pulling the image that Kubernetes has not": {[]string{"image.pullPolicy=Sometimes"}, "/image/pullPolicy"},
		"a digest that is none":                                  {[]string{"image.digest=sha256:1234"}, "/image/digest"},
		"a type of Service that Kubernetes has not":              {[]string{"webhooks.service.type=Public"}, "/webhooks/service/type"},
		"resources that Kubernetes has not":                      {[]string{"resources.limit.memory=1Gi"}, "/resources"},
		"an interval without a unit":                             {[]string{"monitoring.interval=30"}, "/monitoring/interval"},
		"a label that is no string":                              {[]string{"podLabels.team=1"}, "/podLabels/team"},
		"a way to spread replicas that Kubernetes has not":       {[]string{"topologySpread.whenUnsatisfiable=Never"}, "/topologySpread/whenUnsatisfiable"},
		"a share of replicas above all of them":                  {[]string{"podDisruptionBudget.maxUnavailable=101%"}, "/podDisruptionBudget/maxUnavailable"},
		"a full name that leaves no room for the objects' own":   {[]string{"fullnameOverride=a-name-that-is-so-long-that-nothing-fits-behind-it"}, "/fullnameOverride"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			_, err := rendering{set: tc.set}.text(t)
			require.ErrorContains(t, err, "values don't meet the specifications of the schema")
			require.ErrorContains(t, err, tc.at)
		})
	}
}

func without(list []string, item string) (kept []string) {
	for _, one := range list {
		if one != item {
			kept = append(kept, one)
		}
	}
	return kept
}
