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
	crashSeed   = 20
	crashApps   = 200
	crashRounds = 5
	// crashKills is how often Sengu is killed in each round: 20 times in all.
	crashKills = 4
)

// crash is the state of a test that kills Sengu.
type crash struct {
	*sengu
	// accounts and configs tell of what is applied and deleted.
	accounts, configs *follower
	random            *rand.Rand
}

// TestKill9 kills Sengu at 20 random moments of syncs of 200 Apps. A moment is a number of objects that the cluster has
// been seen to get. What comes out is the same as without, nothing is ever pruned that Git has, and what a commit
// removes while Sengu is dead, from under its unfinished sync, goes to the last object.
func TestKill9(t *testing.T) {
	t.Parallel()
	s := newSengu(t, onlyDev)
	c := &crash{
		sengu:    s,
		accounts: s.follow(s.dev, &corev1.ServiceAccountList{}, client.HasLabels{ownLabel}),
		configs:  s.follow(s.dev, &corev1.ConfigMapList{}, client.HasLabels{ownLabel}),
		random:   rand.New(rand.NewPCG(crashSeed, crashSeed)),
	}
	for round := range crashRounds {
		c.interrupted(round)
		if round == 0 {
			c.launch()
			c.ends(s.repo.head, round, crashApps)
			c.kill9()
		}
		removal := files{}
		for i := range crashApps {
			removal[folder(crashName(i), "dev")+"/round.yaml"] = gone
		}
		head := s.repo.commit(removal) // while nobody is there to notice
		c.launch()
		c.ends(head, round, 0)
		if t.Failed() {
			return
		}
	}
}

func crashName(i int) string { return fmt.Sprintf("app%03d", i) }

// roundName is the name of the objects that App i has in one round only.
func roundName(i, round int) string { return fmt.Sprintf("%s-round%d", crashName(i), round) }

// interrupted commits the state of a round and kills Sengu again and again while it syncs. It leaves it dead.
func (c *crash) interrupted(round int) {
	c.Helper()
	tree := files{}
	for i := range crashApps {
		at := folder(crashName(i), "dev")
		tree[at+"/keep.yaml"] = configMap(crashName(i), fmt.Sprintf("round %d", round)) + "---\n" + serviceAccount(crashName(i))
		tree[at+"/round.yaml"] = configMap(roundName(i, round), "only now") + "---\n" + serviceAccount(roundName(i, round))
	}
	base := c.accounts.count(watch.Added)
	c.repo.commit(tree)
	for kill := range crashKills {
		// The account is the last object of the round that an App gets: between two kills many Apps are under way.
		step := crashApps / crashKills
		moment := base + kill*step + 1 + c.random.IntN(step-10)
		if round == 0 {
			moment = base + 2*kill*step + 1 + c.random.IntN(2*step-10) // in the first round there are two of each App
		}
		c.eventually(fmt.Sprintf("%d objects are applied", moment), func() error {
			if n := c.accounts.count(watch.Added); n < moment {
				return fmt.Errorf("%d are", n)
			}
			return nil
		})
		c.kill9()
		if kill < crashKills-1 {
			c.launch()
		}
	}
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
	c.Logf("round %d: the last kill came with %d Apps unfinished", round, unfinished)
	if round == 0 && unfinished == 0 {
		c.Error("nothing was interrupted: the test proves nothing")
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
				want[kind+roundName(i, round)] = true
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
			if strings.Contains(one.object.GetName(), "-round") && extra == 0 {
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
