package job

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"
)

func TestName(t *testing.T) {
	revision := strings.Repeat("0123456789abcdef", 3)[:40]
	cases := map[string]struct {
		reason         string
		app, rev, step string
		want           string
	}{
		"Plain":       {"It shows what it is for.", "checkout-staging", revision, "migrate", "checkout-staging-migrate-0123456-"},
		"Long":        {"The App is cut, and the rest is not.", strings.Repeat("a", 80), revision, "migrate", "aaaaaaaaaaaaaaaaaaaaaaa-migrate-0123456-"},
		"LongStep":    {"A step is cut too.", "checkout", revision, strings.Repeat("s", 80), "checkout-ssssssssssssssss-0123456-"},
		"Untidy":      {"What no label can hold becomes one dash.", "Shop/Checkout_x", revision, "Migrate the DB!", "shop-checkout-x-migrate-the-db-0123456-"},
		"Nothing":     {"What is left is a name.", "日本", "", "…", ""},
		"DashesAtCut": {"No part ends with a dash.", strings.Repeat("a", 22) + "-" + strings.Repeat("b", 40), revision, "migrate", "aaaaaaaaaaaaaaaaaaaaaa-migrate-0123456-"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := Name(tc.app, tc.rev, tc.step)
			if !strings.HasPrefix(got, tc.want) || len(got) != len(tc.want)+hashed {
				t.Errorf("%s\ngot  %s\nwant %s and a hash", tc.reason, got, tc.want)
			}
		})
	}
}

// FuzzName holds that a name is always one, and that two different steps never share it.
func FuzzName(f *testing.F) {
	f.Add("checkout", "0123456", "migrate", "checkout", "0123456", "migrat")
	f.Add("a-b", "c", "d", "a", "b-c", "d")
	f.Add("a", "", "b", "a", "b", "")
	f.Add(strings.Repeat("a", 100)+"1", "r", "s", strings.Repeat("a", 100)+"2", "r", "s")
	f.Fuzz(func(t *testing.T, app, rev, step, app2, rev2, step2 string) {
		one, two := Name(app, rev, step), Name(app2, rev2, step2)
		for _, name := range []string{one, two} {
			if problems := validation.IsDNS1123Label(name); len(problems) > 0 || len(name) > maxName {
				t.Fatalf("%q of %d characters is no name: %v", name, len(name), problems)
			}
		}
		if same := app == app2 && rev == rev2 && step == step2; same != (one == two) {
			t.Errorf("%q %q %q is %s, and %q %q %q is %s", app, rev, step, one, app2, rev2, step2, two)
		}
	})
}

func TestLabelValue(t *testing.T) {
	long := strings.Repeat("a", 60) + "." + strings.Repeat("b", 30)
	if got := labelValue("checkout-staging"); got != "checkout-staging" {
		t.Errorf("got %s", got)
	}
	one, two := labelValue(long+"1"), labelValue(long+"2")
	if one == two || len(one) > maxLabel || len(validation.IsValidLabelValue(one)) > 0 {
		t.Errorf("got %s and %s", one, two)
	}
}
