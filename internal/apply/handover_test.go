package apply_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sengu-dev/sengu/internal/apply"
	"github.com/sengu-dev/sengu/internal/manifest"
)

func TestTwoAppsClaimOneObject(t *testing.T) {
	a := newApp(t)
	a.mustSync(a.set(configMap("shared", "from: a")))
	b := a.sibling()
	changes, result := b.sync(b.set(configMap("shared", "from: b"), configMap("own")))
	first := a.owner.Namespace + "/" + a.owner.Name
	if len(result.Failed) != 1 || !result.Failed[0].Conflict || !strings.Contains(result.Failed[0].Sentence, first) {
		t.Fatalf("the second App should be refused and name the first: %v %+v", actions(changes), result.Failed)
	}
	if data(a.get(configMaps, "shared"))["from"] != "a" || a.get(configMaps, "own") == nil {
		t.Error("the first App keeps its object, and the second gets on with its own")
	}
	if changes := a.plan(a.set(configMap("shared", "from: a"))); changes.Sends() != 0 {
		t.Errorf("the first App should notice nothing: %v", actions(changes))
	}
}

// claims answers for one other App of the Fleet.
func claims(decided, wants bool) apply.Claims {
	return apply.Claims{Decided: func(manifest.Owner, manifest.Ref) (bool, bool) { return wants, decided }}
}

func TestHandOverOfARenamedFolder(t *testing.T) {
	a := newApp(t)
	a.mustSync(a.set(configMap("x", "one: a", "two: a")))
	uid := a.inventory[0].UID
	b := a.sibling()
	set := b.set(configMap("x", "one: b"))

	b.claims = claims(false, false)
	if got := actions(b.plan(set)); !slices.Equal(got, []string{"Wait ConfigMap x"}) {
		t.Errorf("until the first App has said what it wants, the second waits: %v", got)
	}
	b.claims = claims(true, true)
	if got := actions(b.plan(set)); !slices.Equal(got, []string{"Conflict ConfigMap x"}) {
		t.Errorf("an object that the first App wants is a conflict: %v", got)
	}
	// The first App, meanwhile, does not delete what the second wants.
	a.claims = apply.Claims{Rival: func(manifest.Ref) (string, bool) { return b.owner.Name, true }}
	if got := actions(a.plan(a.set(configMap("other")))); !slices.Contains(got, "Wait ConfigMap x") {
		t.Errorf("got %v", got)
	}
	a.claims = apply.Claims{Undecided: func() (string, bool) { return b.owner.Name, true }}
	if got := actions(a.plan(a.set(configMap("other")))); !slices.Contains(got, "Wait ConfigMap x") {
		t.Errorf("while an App has not decided, nothing is deleted: %v", got)
	}

	b.claims = claims(true, false)
	changes, _ := b.mustSync(set)
	if got := actions(changes); !slices.Equal(got, []string{"HandOver ConfigMap x"}) {
		t.Fatalf("got %v", got)
	}
	u := a.get(configMaps, "x")
	if string(u.GetUID()) != uid || u.GetLabels()[manifest.LabelApp] != b.owner.Label() {
		t.Error("the object should be the same, and the second App's")
	}
	if d := data(u); len(d) != 1 || d["one"] != "b" {
		t.Errorf("what only the first App wanted should be gone: %v", d)
	}
	for _, e := range u.GetManagedFields() {
		if e.Manager == a.owner.Manager() {
			t.Errorf("the first App still holds fields: %s", e.FieldsV1)
		}
	}
	if changes := b.plan(set); changes.Sends() != 0 {
		t.Errorf("got %v", actions(changes))
	}
	// The first App lets go without a request.
	a.claims = apply.Claims{}
	changes, _ = a.mustSync(a.set(configMap("other")))
	if got := actions(changes); !slices.Contains(got, "Gone ConfigMap x") || len(a.inventory) != 1 {
		t.Errorf("got %v, inventory %v", got, a.inventory)
	}
}

func TestHandOverOfAnObjectThatChangedMeanwhile(t *testing.T) {
	a := newApp(t)
	a.mustSync(a.set(configMap("x", "one: a")))
	b := a.sibling()
	b.claims = claims(true, false)
	changes := b.plan(b.set(configMap("x", "one: b")))
	a.mustSync(a.set(configMap("x", "one: changed")))
	if result := b.do(changes); len(result.Failed) > 0 {
		t.Errorf("it is still the first App's, and handed over as it is now: %+v", result.Failed)
	}
	c := b.sibling()
	c.claims = claims(true, false)
	if result := c.do(apply.ChangeSet{Changes: retarget(c, changes)}); len(result.Failed) != 1 || !result.Failed[0].Retryable {
		t.Errorf("it is no longer the first App's: %+v", result.Failed)
	}
}

// retarget makes the changes of another App's plan those of a.
func retarget(a *app, changes apply.ChangeSet) []apply.Change {
	list := slices.Clone(changes.Changes)
	set := a.set(configMap("x", "one: c"))
	for i := range list {
		list[i].Item = set.Items()[0]
	}
	return list
}
