package handover

import (
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sengu-dev/sengu/internal/manifest"
)

func name(s string) types.NamespacedName { return types.NamespacedName{Namespace: "sengu", Name: s} }

var (
	shop       = name("shop")
	deployment = manifest.Ref{Group: "apps", Kind: "Deployment", Namespace: "cart", Name: "cart"}
)

func TestNobodyPrunesBeforeTheFleetIsCompared(t *testing.T) {
	l := New()
	if _, waits := l.Undecided(shop, "dev"); !waits {
		t.Error("an App may prune before its Fleet was compared with the repository since the start")
	}
	l.Compared(shop)
	if app, waits := l.Undecided(shop, "dev"); waits {
		t.Errorf("waits for %q although nothing moved", app)
	}
	l.Moving(shop)
	if _, waits := l.Undecided(shop, "dev"); !waits {
		t.Error("an App may prune while its Fleet is moving others")
	}
}

func TestAppsThatMovedHaveToClaimFirst(t *testing.T) {
	l := New()
	l.Moving(shop)
	l.Moved(shop, name("a"), "dev", 2)
	l.Moved(shop, name("far"), "prod", 2)
	l.Compared(shop)
	if app, waits := l.Undecided(shop, "dev"); !waits || app != "a" {
		t.Errorf("got %q, %v; want to wait for a", app, waits)
	}
	l.Claim(shop, name("a"), 1, "dev", nil)
	if _, waits := l.Undecided(shop, "dev"); !waits {
		t.Error("a claim for an older generation counts")
	}
	l.Claim(shop, name("a"), 2, "dev", nil)
	if app, waits := l.Undecided(shop, "dev"); waits {
		t.Errorf("still waits for %q", app)
	}
	if app, waits := l.Undecided(shop, "prod"); !waits || app != "far" {
		t.Errorf("another cluster's App is forgotten: %q, %v", app, waits)
	}
	l.Forget(name("far"))
	if _, waits := l.Undecided(shop, "prod"); waits {
		t.Error("waits for an App that no longer exists")
	}
}

func TestMovedAfterTheClaimIsNoNews(t *testing.T) {
	l := New()
	l.Claim(shop, name("a"), 3, "dev", nil) // the App was faster than the Fleet's answer
	l.Moved(shop, name("a"), "dev", 3)
	l.Compared(shop)
	if app, waits := l.Undecided(shop, "dev"); waits {
		t.Errorf("waits for %q, which has claimed", app)
	}
}

func TestBothOrdersOfAHandoverEndTheSame(t *testing.T) {
	for order, claims := range map[string][]string{"old first": {"old", "new"}, "new first": {"new", "old"}} {
		t.Run(order, func(t *testing.T) {
			l := New()
			l.Claim(shop, name("old"), 1, "dev", []manifest.Ref{deployment})
			l.Compared(shop)
			l.Moving(shop)
			l.Moved(shop, name("new"), "dev", 1)
			if _, decided := l.Decided(name("old"), "dev", deployment); decided {
				t.Error("old is decided while its Fleet is moving Apps")
			}
			l.Moved(shop, name("old"), "dev", 2)
			l.Compared(shop)
			if _, decided := l.Decided(name("old"), "dev", deployment); decided {
				t.Error("old is decided before it has claimed anew")
			}
			for _, app := range claims {
				if app == "old" {
					l.Claim(shop, name("old"), 2, "dev", nil)
				} else {
					l.Claim(shop, name("new"), 1, "dev", []manifest.Ref{deployment})
				}
			}
			if wants, decided := l.Decided(name("old"), "dev", deployment); wants || !decided {
				t.Errorf("old: wants %v, decided %v; want a decision against", wants, decided)
			}
			if rival, ok := l.Rival(name("old"), "dev", deployment); !ok || rival != name("new") {
				t.Errorf("old would delete what new wants: rival %v, %v", rival, ok)
			}
			if _, ok := l.Rival(name("old"), "prod", deployment); ok {
				t.Error("an object of another cluster is taken for the same")
			}
		})
	}
}
