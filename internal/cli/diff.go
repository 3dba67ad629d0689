package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/layout"
	"github.com/sengu-dev/sengu/internal/render"
)

const diffExample = `  # in a checkout of a fleet's repository: what would what is on disk change, in each cluster?
  sengu diff

  # one service, one environment, or what lies in a folder
  sengu diff checkout
  sengu diff -e production checkout cart
  sengu diff ./apps/checkout

  # what would a commit or a branch change?
  sengu diff --revision HEAD~3
  sengu diff --revision origin/feature -e production

  # in CI: exit code 0 for no changes, 1 for an error, 2 for changes
  sengu diff --color never > diff.txt || test $? -eq 2`

// diffOptions are the flags of `diff`.
type diffOptions struct {
	revision string
	fleet    string
	envs     []string
	all      bool
	exec     []string
}

// diffCommand is `sengu diff`.
func (p *program) diffCommand() *cobra.Command {
	var o diffOptions
	cmd := &cobra.Command{
		Use:   "diff [PATH] [SERVICE...]",
		Short: "What a working tree or a revision would change in each cluster",
		Long: `Renders the services of a checkout as they are on disk, or at a revision of it, and asks
the API server of each environment's cluster what applying them would change (a
server-side dry run: with its defaults and webhooks, and without writing anything).
Values of Secrets are masked.

The checkout is that of the working directory, or of PATH, which has a slash in it. Its
fleets are those whose repository is one of its Git remotes. Only services that the
changed files touch are rendered, unless --all is given.

Exit code 0 if nothing would change, 2 if something would, 1 if anything could not be
compared.`,
		Example: diffExample,
		GroupID: groupSee,
		ValidArgsFunction: p.completeFrom(func(s snapshot) []string {
			return serviceNames(s.apps, "")
		}),
		RunE: func(cmd *cobra.Command, a []string) error {
			return p.diff(cmd.Context(), a, o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.revision, "revision", "", "compare this commit, branch or tag of the checkout, instead of its files on disk")
	flags.StringSliceVarP(&o.envs, "environment", "e", nil, "only these environments")
	flags.StringVarP(&o.fleet, "fleet", "f", "", "only this fleet, also if its repository is not a remote of the checkout")
	flags.BoolVar(&o.all, "all", false, "also services that no changed file touches, which shows drift too")
	execFlag(cmd, &o.exec)
	p.completeScope(cmd)
	return cmd
}

func (p *program) diff(ctx context.Context, a []string, o diffOptions) error {
	folder := "."
	if len(a) > 0 && isPath(a[0]) {
		folder, a = a[0], a[1:]
	}
	repository, err := openCheckout(folder)
	if err != nil {
		return err
	}
	pl, err := p.plane()
	if err != nil {
		return err
	}
	snap, err := pl.snapshot(ctx)
	if err != nil {
		return err
	}
	fleets, err := snap.fleetsOf(ctx, repository, o.fleet)
	if err != nil {
		return err
	}
	commit := ""
	if o.revision != "" {
		if commit, err = repository.resolve(ctx, o.revision); err != nil {
			return err
		}
	}
	tree, closeTree, err := repository.tree(ctx, commit)
	if err != nil {
		return err
	}
	defer closeTree()
	shop, err := newWorkshop(pl, snap, o.exec)
	if err != nil {
		return err
	}
	defer shop.close()
	c := comparison{program: p, shop: shop, repository: repository, tree: tree, commit: commit, options: o, services: a}
	return c.run(ctx, fleets)
}

// isPath says whether the first argument of `diff` is a folder and not a service.
func isPath(word string) bool {
	if word == "." || word == ".." || strings.ContainsAny(word, "/") {
		return true
	}
	_, err := os.Stat(word + "/.git")
	return err == nil
}

// fleetsOf returns the fleets whose repository this is a checkout of.
func (s snapshot) fleetsOf(ctx context.Context, repository checkout, named string) ([]*v1alpha1.Fleet, error) {
	if named != "" {
		if f := s.fleet(named); f != nil {
			return []*v1alpha1.Fleet{f}, nil
		}
		return nil, oneOf("fleet", named, fleetNames(s.fleets))
	}
	remotes, err := repository.remotes(ctx)
	if err != nil {
		return nil, err
	}
	var fleets []*v1alpha1.Fleet
	for i := range s.fleets {
		if slices.Contains(remotes, gitrepo.NormalizeURL(s.fleets[i].Spec.Git.URL)) {
			fleets = append(fleets, &s.fleets[i])
		}
	}
	if len(fleets) == 0 {
		return nil, fmt.Errorf("none of the Git remotes of %s is the repository of a fleet: name the fleet with -f", repository.top)
	}
	return fleets, nil
}

// comparison is one run of `diff`.
type comparison struct {
	*program
	shop       *workshop
	repository checkout
	tree       *render.Dir
	commit     string
	options    diffOptions
	services   []string
}

// atOnce is how many services are compared at once.
const atOnce = 4

func (c *comparison) run(ctx context.Context, fleets []*v1alpha1.Fleet) error {
	subjects, err := c.subjects(ctx, fleets)
	if err != nil {
		return err
	}
	if len(subjects) > 0 {
		c.notef("comparing %s\n", plural(len(subjects), "app", "apps"))
	}
	results := make([]outcome, len(subjects))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, s := range subjects {
		group.Go(func() error {
			results[i] = c.compare(ctx, s)
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return c.report(results)
}

// report prints what was found and returns the exit code that says so.
func (c *comparison) report(results []outcome) error {
	paint := c.painter(c.out)
	var sum summary
	for _, r := range results {
		c.printf("%s", r.text(paint))
		sum.add(r)
		for _, w := range r.warnings {
			c.notef("note: %s: %s\n", r.subject.title(), w)
		}
	}
	for _, r := range results {
		if r.err != nil {
			c.notef("sengu: %s: %s\n", r.subject.title(), sentence(r.err))
		}
	}
	c.notef("%s\n", sum)
	switch {
	case sum.failed > 0:
		return status(exitError)
	case sum.changes() > 0:
		return status(exitChanges)
	}
	return nil
}

// subjects are the Apps to compare: those that the layout finds in the tree, and those whose folder is gone from it.
func (c *comparison) subjects(ctx context.Context, fleets []*v1alpha1.Fleet) ([]subject, error) {
	var all []subject
	known := map[string]bool{}
	var words []string
	for _, fleet := range fleets {
		found, err := c.subjectsOf(fleet)
		if err != nil {
			return nil, err
		}
		for _, s := range found {
			known[s.spec.Service] = true
			words = append(words, s.spec.Service)
		}
		all = append(all, found...)
	}
	for _, name := range c.services {
		if !known[name] {
			slices.Sort(words)
			return nil, oneOf("service", name, slices.Compact(words))
		}
	}
	for _, e := range c.options.envs {
		if err := oneOf("environment", e, environments(c.shop.snap.fleets, c.options.fleet)); err != nil {
			return nil, err
		}
	}
	touch := toucher{comparison: c, files: map[string][]string{}}
	return slices.DeleteFunc(all, func(s subject) bool { return !c.meant(s) || !touch.touched(ctx, s) }), nil
}

// meant says whether the arguments mean s.
func (c *comparison) meant(s subject) bool {
	within := c.repository.within
	return (len(c.services) == 0 || slices.Contains(c.services, s.spec.Service)) &&
		(len(c.options.envs) == 0 || slices.Contains(c.options.envs, s.spec.Environment)) &&
		(within == "." || s.spec.Source.Path == within || strings.HasPrefix(s.spec.Source.Path, within+"/"))
}

func (c *comparison) subjectsOf(fleet *v1alpha1.Fleet) ([]subject, error) {
	parsed, err := layout.Parse(fleet.Spec.Layout)
	if err != nil {
		return nil, err
	}
	places, err := parsed.List(c.tree)
	if err != nil {
		return nil, err
	}
	var all []subject
	seen := map[string]bool{}
	for _, at := range places {
		env, ok := layout.Environment(fleet, at.Environment)
		if !ok {
			continue
		}
		s := c.shop.subjectAt(fleet, env, at)
		seen[s.title()] = true
		all = append(all, s)
	}
	if len(all) == 0 {
		return nil, errors.New("nothing here matches the layout " + fleet.Spec.Layout + " of fleet " + fleet.Name)
	}
	for _, app := range sorted(c.shop.snap, filter{fleet: fleet.Name}) {
		if app.Spec.Service == "" || seen[title(app)] {
			continue
		}
		s, err := c.shop.subjectOf(app)
		if err != nil {
			return nil, err
		}
		s.gone = true
		all = append(all, s)
	}
	order := environments([]v1alpha1.Fleet{*fleet}, "")
	slices.SortStableFunc(all, func(a, b subject) int {
		if a.spec.Service != b.spec.Service {
			return strings.Compare(a.spec.Service, b.spec.Service)
		}
		return slices.Index(order, a.spec.Environment) - slices.Index(order, b.spec.Environment)
	})
	return all, nil
}
