package crds_test

import (
	"io/fs"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/sengu-dev/sengu/api/crds"
	"github.com/sengu-dev/sengu/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m, testenv.Options{Planes: 1}) }

// install applies the definitions and waits until they are served.
func install(t *testing.T, c client.Client) {
	t.Helper()
	names, err := fs.Glob(crds.Files, "*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatalf("no definitions are embedded: %v", err)
	}
	for _, name := range names {
		data, err := fs.ReadFile(crds.Files, name)
		if err != nil {
			t.Fatal(err)
		}
		u := object(t, string(data))
		if err := c.Create(t.Context(), u); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatalf("the API server refuses %s: %v", name, err)
		}
	}
}

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
		t.Fatal(err)
	}
	return u
}

const fleet = `
apiVersion: sengu.dev/v1alpha1
kind: Fleet
metadata: {name: shop}
spec:
  git: {url: "https://git.example.com/shop.git"}
  layout: "apps/{service}/overlays/{environment}"
  environments:
  - {name: develop, cluster: dev}
  - {name: staging, cluster: dev, after: [develop]}
  - {name: production, cluster: prod, after: [develop, staging]}
`

const app = `
apiVersion: sengu.dev/v1alpha1
kind: App
metadata: {name: by-hand}
spec:
  fleet: shop
  serviceAccountName: deployer
  source: {revision: "0123456789012345678901234567890123456789", path: apps/cart, cluster: dev, namespace: cart}
`

func TestBadObjectsAreRefusedWithASentence(t *testing.T) {
	plane := testenv.Plane(t)
	c, err := client.New(plane.Config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	install(t, c)
	cases := map[string]struct{ base, old, new, want string }{
		"Good":               {fleet, "", "", ""},
		"UnknownEnvironment": {fleet, "after: [develop]", "after: [devlop]", "is after one that this fleet does not have"},
		"Cycle":              {fleet, "{name: develop, cluster: dev}", "{name: develop, cluster: dev, after: [production]}", "which also rules out a cycle"},
		"AfterItself":        {fleet, "after: [develop]", "after: [staging]", "which also rules out a cycle"},
		"NoService":          {fleet, "apps/{service}/overlays", "apps/overlays", "layout must contain {service}"},
		"NoEnvironment":      {fleet, "/{environment}", "", "layout must contain {environment}"},
		"LayoutLeaves":       {fleet, "apps/{service}", "../{service}", "layout must be a path within the repository"},
		"TwiceService":       {fleet, "apps/{service}", "{service}/{service}", "once each"},
		"PasswordInURL":      {fleet, "https://git", "https://me:pw@git", "must not carry a user or a password"},
		"OtherScheme":        {fleet, "https://git", "ext::git", "git.url must begin with"},
		"FastPoll":           {fleet, "shop.git\"", "shop.git\", interval: 1s", "at least 5s"},
		"DotInName":          {fleet, "name: shop", "name: sh.op", "no dot"},
		"TwiceEnvironment":   {fleet, "name: staging", "name: develop", "Duplicate value"},
		"AppByHand":          {app, "", "", ""},
		"AppWithoutAccount":  {app, "serviceAccountName: deployer", "", "must name a serviceAccountName"},
		"AppShortRevision":   {app, "0123456789012345678901234567890123456789", "abc1234", "spec.source.revision"},
		"Pinned":             {app, "spec:", "spec:\n  pin: {by: anna, at: '2026-11-30T10:00:00Z', until: '2026-12-30T10:00:00Z', image: 'a/b:c'}", ""},
		"PinnedForLong":      {app, "spec:", "spec:\n  pin: {by: anna, at: '2026-11-30T10:00:00Z', until: '2026-12-30T10:00:01Z', image: 'a/b:c'}", "no more than thirty days"},
		"PinnedBefore":       {app, "spec:", "spec:\n  pin: {by: anna, at: '2026-11-30T10:00:00Z', until: '2026-11-30T10:00:00Z', image: 'a/b:c'}", "until must be after at"},
		"AppPathLeaves":      {app, "path: apps/cart", "path: ../cart", "must be a path within the repository"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			u := object(t, strings.Replace(tc.base, tc.old, tc.new, 1))
			u.SetNamespace("default")
			create(t, c, u, tc.want)
		})
	}
}

// create expects u to be taken, or to be refused with want.
func create(t *testing.T, c client.Client, u *unstructured.Unstructured, want string) {
	t.Helper()
	testenv.Eventually(t, 30*time.Second, func() error {
		err := c.Create(t.Context(), u.DeepCopy(), client.DryRunAll)
		if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
			return err // the definition is not served yet
		}
		switch {
		case want == "" && err != nil:
			t.Errorf("refused: %v", err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("got %v, want a refusal with %q", err, want)
		}
		return nil
	})
}
