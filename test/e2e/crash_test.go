package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	crashSeed  = 20
	crashApps  = 200
	crashKills = 20
)

// crash is the state of a test that kills Sengu.
type crash struct {
	*sengu
	// accounts and configs tell of what is applied and deleted.
	accounts, configs *follower
	random            *rand.Rand
}

// TestKill9 kills Sengu at 20 random moments of a sync of 200 Apps. A moment is a number of objects that the cluster has
// been seen to get. After each kill, while Sengu is dead and its sync unfinished, a commit removes half of the objects
// of every App: once Sengu is back, what runs is what Git has, to the object, and nothing that Git has was ever pruned.
// After the first kill, there is no such commit before Sengu has ended what it began.
func TestKill9(t *testing.T) {
	t.Parallel()
	s := newSengu(t, onlyDev)
	c := &crash{
		sengu:    s,
		accounts: s.follow(s.dev, &corev1.ServiceAccountList{}, client.HasLabels{ownLabel}),
		configs:  s.follow(s.dev, &corev1.ConfigMapList{}, client.HasLabels{ownLabel}),
		random:   rand.New(rand.NewPCG(crashSeed, crashSeed)),
	}
	removal := files{}
	for i := range crashApps {
		removal[folder(crashName(i), "dev")+"/round.yaml"] = gone
	}
	for round := range crashKills {
		head := c.repo.commit(c.whole(round))
		c.interrupt(round)
		if round == 0 {
			c.launch()
			c.ends(head, round, crashApps)
			c.kill9()
		}
		head = c.repo.commit(removal) // while nobody is there to notice
		c.launch()
		c.ends(head, round, 0)
	}
}

func crashName(i int) string { return fmt.Sprintf("app%03d", i) }

// roundMark is in the names of the objects that there are in one round only.
func roundMark(round int) string { return fmt.Sprintf("-round%d", round) }

// whole is the change that gives every App the two objects of a round, beside the two that it always has.
func (c *crash) whole(round int) files {
	tree := files{}
	for i := range crashApps {
		at, name := folder(crashName(i), "dev"), crashName(i)+roundMark(round)
		tree[at+"/keep.yaml"] = configMap(crashName(i), fmt.Sprintf("round %d", round)) + "---\n" + serviceAccount(crashName(i))
		tree[at+"/round.yaml"] = configMap(name, "only now") + "---\n" + serviceAccount(name)
	}
	return tree
}

// interrupt kills Sengu at a random moment of a round.
func (c *crash) interrupt(round int) {
	c.Helper()
	applied := func(all []sight) int { // the account is the last object of the round that an App gets
		n := 0
		for _, one := range all {
			if one.event == watch.Added && strings.HasSuffix(one.object.GetName(), roundMark(round)) {
				n++
			}
		}
		return n
	}
	moment := 1 + c.random.IntN(crashApps-20)
	c.accounts.until(fmt.Sprintf("%d Apps of round %d are applied", moment, round), func(all []sight) error {
		if n := applied(all); n < moment {
			return fmt.Errorf("%d are", n)
		}
		return nil
	})
	c.kill9()
	apps, err := c.apps()
	if err != nil {
		c.Fatal(err)
	}
	unfinished := 0
	for i := range apps {
		if notSynced(&apps[i]) != nil {
			unfinished++
		}
	}
	c.Logf("round %d: killed after %d objects, with %d Apps unfinished", round, applied(c.accounts.all()), unfinished)
	if unfinished == 0 {
		c.Errorf("round %d: nothing was interrupted: the test proves nothing", round)
	}
}

// ends waits for the end of a sync, and compares what is there with what Git has: extra Apps hold the objects of round.
func (c *crash) ends(head string, round, extra int) {
	c.Helper()
	c.synced(head, crashApps)
	want := map[string]bool{}
	for i := range crashApps {
		for _, kind := range []string{"ConfigMap/", "ServiceAccount/"} {
			want[kind+crashName(i)] = true
			if i < extra {
				want[kind+crashName(i)+roundMark(round)] = true
			}
		}
	}
	c.eventually("what runs is what Git has", func() error {
		found := c.uids(c.dev)
		for id := range want {
			if found[id] == "" {
				return fmt.Errorf("%s is missing", id)
			}
		}
		for id := range found {
			if !want[id] {
				return fmt.Errorf("%s is still there", id)
			}
		}
		return nil
	})
	for _, f := range []*follower{c.accounts, c.configs} {
		f.must(func(one sight) error {
			name := one.object.GetName()
			if strings.Contains(name, "-round") && (extra == 0 || !strings.HasSuffix(name, roundMark(round))) {
				return nil
			}
			return neverDeleted(one)
		})
	}
	for i := range crashApps {
		if err := c.holds(c.dev, crashName(i), fmt.Sprintf("round %d", round)); err != nil {
			c.Fatal(err)
		}
	}
}

// TestKill9InPrune kills Sengu again and again in the middle of a prune: what Git still has is never deleted, and what
// it no longer has goes after the last start, each object once.
func TestKill9InPrune(t *testing.T) {
	t.Parallel()
	const objects, kills = 400, 4
	s := newSengu(t, onlyDev)
	at := folder("web", "dev")
	tree := fourObjects(folder("other", "dev"), "other", "x")
	removal, leaving := files{}, map[string]bool{}
	for i := range objects {
		name := fmt.Sprintf("object%03d", i)
		tree[at+"/"+name+".yaml"] = configMap(name, "x")
		if i%2 == 1 { // half of the App, which is within the budget
			removal[at+"/"+name+".yaml"], leaving[name] = gone, true
		}
	}
	s.synced(s.repo.commit(tree), 2)
	before, configs := s.uids(s.dev), s.follow(s.dev, &corev1.ConfigMapList{}, client.HasLabels{ownLabel})
	random := rand.New(rand.NewPCG(crashSeed, crashSeed))
	s.kill9()
	head := s.repo.commit(removal)
	for kill := range kills {
		moment := kill*len(leaving)/(kills+1) + 1 + random.IntN(10)
		s.launch()
		configs.until(fmt.Sprintf("%d objects are deleted", moment), func([]sight) error {
			if n := configs.count(watch.Deleted); n < moment {
				return fmt.Errorf("%d are", n)
			}
			return nil
		})
		s.kill9()
		left := len(s.uids(s.dev)) - len(before) + len(leaving)
		t.Logf("killed with %d objects to prune", left)
		if kill == 0 && left == 0 {
			t.Error("the prune was not interrupted: the test proves nothing")
		}
	}
	s.start()
	s.synced(head, 2)
	for id := range before {
		if leaving[strings.TrimPrefix(id, "ConfigMap/")] {
			delete(before, id)
		}
	}
	s.kept(s.dev, before, objects/2+4)
	s.eventually("the rest is pruned", func() error {
		if n := len(s.uids(s.dev)); n != len(before) {
			return fmt.Errorf("there are %d objects, not %d", n, len(before))
		}
		return nil
	})
	seen := map[string]int{}
	configs.must(func(one sight) error {
		if one.event != watch.Deleted {
			return nil
		}
		name := one.object.GetName()
		if seen[name]++; !leaving[name] || seen[name] > 1 {
			return fmt.Errorf("deleted %d times, and Git has it: %t", seen[name], !leaving[name])
		}
		return nil
	})
}
