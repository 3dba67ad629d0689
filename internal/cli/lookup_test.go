package cli

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

func appOf(fleet, service, env string) v1alpha1.App {
	return v1alpha1.App{
		ObjectMeta: metav1.ObjectMeta{Name: fleet + "-" + service + "-" + env},
		Spec:       v1alpha1.AppSpec{Fleet: fleet, Service: service, Environment: env},
	}
}

func fleetOf(name string, envs ...string) v1alpha1.Fleet {
	f := v1alpha1.Fleet{ObjectMeta: metav1.ObjectMeta{Name: name}}
	for _, e := range envs {
		f.Spec.Environments = append(f.Spec.Environments, v1alpha1.Environment{Name: e, Cluster: "dev"})
	}
	return f
}

func TestFind(t *testing.T) {
	snap := snapshot{
		fleets: []v1alpha1.Fleet{fleetOf("shop", "develop", "production"), fleetOf("blog", "live")},
		apps: []v1alpha1.App{
			appOf("shop", "checkout", "develop"), appOf("shop", "checkout", "production"), appOf("shop", "cart", "develop"),
			appOf("shop", "front", "develop"), appOf("blog", "front", "live"), appOf("blog", "cart", "develop"),
			{ObjectMeta: metav1.ObjectMeta{Name: "tools"}, Spec: v1alpha1.AppSpec{Fleet: "shop"}},
		},
	}
	cases := map[string]struct {
		word   string
		scope  scope
		want   string
		reason string
	}{
		"Name":                 {word: "shop-cart-develop", want: "shop-cart-develop"},
		"ByHand":               {word: "tools", want: "tools"},
		"ServiceAndEnv":        {word: "checkout", scope: scope{env: "production"}, want: "shop-checkout-production"},
		"Slash":                {word: "checkout/develop", want: "shop-checkout-develop"},
		"SlashBeatsNothing":    {word: "checkout/develop", scope: scope{env: "production"}, want: "shop-checkout-develop"},
		"FleetDecides":         {word: "cart/develop", scope: scope{fleet: "blog"}, want: "blog-cart-develop"},
		"OnlyEnvOfFleet":       {word: "front", scope: scope{fleet: "blog"}, want: "blog-front-live"},
		"SeveralEnvironments":  {word: "checkout", reason: "checkout runs in develop and production: say which with -e"},
		"SeveralFleets":        {word: "cart/develop", reason: "cart/develop is a service of the fleets blog and shop: say which with -f"},
		"NotInThisEnvironment": {word: "checkout/staging", reason: "checkout does not run in staging, only in develop and production"},
		"Typo":                 {word: "chekcout", reason: "there is no app or service chekcout: did you mean checkout?"},
		"Beginning":            {word: "check", reason: "did you mean checkout?"},
		"Nothing":              {word: "zzz", reason: "see `sengu get`"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			app, err := snap.find(tc.word, tc.scope)
			if tc.reason != "" {
				if err == nil || !strings.Contains(err.Error(), tc.reason) {
					t.Fatalf("find(%q): got %v, want an error with %q", tc.word, err, tc.reason)
				}
				return
			}
			if err != nil {
				t.Fatalf("find(%q): %v", tc.word, err)
			}
			if app.Name != tc.want {
				t.Errorf("find(%q): got %s, want %s", tc.word, app.Name, tc.want)
			}
		})
	}
}

func TestDistance(t *testing.T) {
	cases := map[string]struct {
		a, b string
		want int
	}{
		"Equal":      {"cart", "cart", 0},
		"Empty":      {"", "cart", 4},
		"Swap":       {"chekcout", "checkout", 1},
		"Missing":    {"chckout", "checkout", 1},
		"Substitute": {"kart", "cart", 1},
		"Far":        {"cart", "zzz", 4},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := distance(tc.a, tc.b); got != tc.want {
				t.Errorf("distance(%q, %q): got %d, want %d", tc.a, tc.b, got, tc.want)
			}
		})
	}
}
