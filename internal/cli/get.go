package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

const getExample = `  # what runs where, and a line for everything that is not as it should be
  sengu get

  # one service, and one environment
  sengu get checkout
  sengu get -e production

  # one line an App, with its cluster and namespace
  sengu get -o wide

  # keep looking; plain lines when the output is not a terminal
  sengu get --watch

  # lists
  sengu get clusters
  sengu get fleets -o yaml
  sengu get apps -o json`

// getOptions are the flags of `get`.
type getOptions struct {
	filter filter
	output string
	watch  bool
}

// filter says which Apps are meant. An empty field means all.
type filter struct {
	fleet    string
	envs     []string
	services []string
}

func (f filter) matches(a *v1alpha1.App) bool {
	return (f.fleet == "" || a.Spec.Fleet == f.fleet) &&
		(len(f.envs) == 0 || slices.Contains(f.envs, a.Spec.Environment)) &&
		(len(f.services) == 0 || slices.Contains(f.services, a.Spec.Service) || slices.Contains(f.services, a.Name))
}

// getCommand is `sengu get`.
func (p *program) getCommand() *cobra.Command {
	var o getOptions
	cmd := &cobra.Command{
		Use:     "get [SERVICE... | apps | clusters | fleets]",
		Aliases: []string{"ls", "list"},
		Short:   "What runs where: services × environments, with revision, sync, health and age",
		Long: `Shows the services of each fleet against its environments, in the order in which the
fleet lists them: the revision that runs, whether it is what Git says, its health, and
how long ago it was applied. A revision with a ! is held, one with a ? has a change before it
that waits for a person, and one with a * runs an image that is pinned. Below it, a line for everything that is not as it should be.`,
		Example:           getExample,
		GroupID:           groupSee,
		ValidArgsFunction: p.completeGet,
		RunE: func(cmd *cobra.Command, a []string) error {
			return p.get(cmd.Context(), o, a)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.output, "output", "o", "table", "table, wide, json or yaml")
	flags.BoolVarP(&o.watch, "watch", "w", false, "keep looking until interrupted")
	flags.StringSliceVarP(&o.filter.envs, "environment", "e", nil, "only these environments")
	flags.StringVarP(&o.filter.fleet, "fleet", "f", "", "only this fleet")
	complete(cmd, "output", "table", "wide", "json", "yaml")
	p.completeScope(cmd)
	return cmd
}

func (p *program) get(ctx context.Context, o getOptions, a []string) error {
	if !slices.Contains([]string{"table", "wide", "json", "yaml"}, o.output) {
		return usageError{fmt.Errorf("-o is %q: it must be table, wide, json or yaml", o.output)}
	}
	kind := "matrix"
	if len(a) > 0 {
		if k, ok := kindOf(a[0]); ok {
			kind, a = k, a[1:]
		}
	}
	o.filter.services = a
	pl, err := p.plane()
	if err != nil {
		return err
	}
	if o.watch {
		return p.watch(ctx, pl, kind, o)
	}
	snap, err := pl.snapshot(ctx)
	if err != nil {
		return err
	}
	if err := snap.check(o.filter, kind); err != nil {
		return err
	}
	text, err := p.show(kind, snap, o)
	if err != nil {
		return err
	}
	p.printf("%s", text)
	if len(snap.fleets)+len(snap.apps)+len(snap.clusters) == 0 && o.output != "json" && o.output != "yaml" {
		p.notef("There is nothing of Sengu in namespace %s of this plane: apply a Cluster and a Fleet, or start a local plane with `sengu up`.\n",
			pl.namespace)
	}
	return nil
}

// kindOf reads the word of a list.
func kindOf(word string) (string, bool) {
	switch strings.ToLower(word) {
	case "app", "apps":
		return "apps", true
	case "cluster", "clusters":
		return "clusters", true
	case "fleet", "fleets":
		return "fleets", true
	}
	return "", false
}

// check refuses a filter that names something that does not exist, so that an empty table never hides a typo.
func (s snapshot) check(f filter, kind string) error {
	if f.fleet != "" {
		if err := oneOf("fleet", f.fleet, fleetNames(s.fleets)); err != nil {
			return err
		}
	}
	for _, e := range f.envs {
		if err := oneOf("environment", e, environments(s.fleets, f.fleet)); err != nil {
			return err
		}
	}
	known := serviceNames(s.apps, f.fleet)
	word := "service"
	switch kind {
	case "clusters":
		known, word = clusterNames(s.clusters), "cluster"
	case "fleets":
		known, word = fleetNames(s.fleets), "fleet"
	}
	for _, name := range f.services {
		if err := oneOf(word, name, known); err != nil {
			return err
		}
	}
	return nil
}

// show returns what `get` prints of snap.
func (p *program) show(kind string, snap snapshot, o getOptions) (string, error) {
	now, c := p.now(), p.painter(p.out)
	if o.output == "json" || o.output == "yaml" {
		return encode(snap.objects(kind, o.filter), o.output)
	}
	switch kind {
	case "clusters":
		return clusterTable(now, snap, o).render(c), nil
	case "fleets":
		return fleetTable(now, snap, o).render(c), nil
	case "apps":
		return appTable(now, snap, o).render(c), nil
	}
	if o.output == "wide" {
		return appTable(now, snap, o).render(c) + problems(now, snap, o.filter, c), nil
	}
	return matrices(now, snap, o.filter, width(p.out), c) + problems(now, snap, o.filter, c), nil
}

// matrices returns a matrix for each fleet.
func matrices(now time.Time, snap snapshot, f filter, columns int, c painter) string {
	var b strings.Builder
	grids := slices.DeleteFunc(gridsOf(snap, f), func(g grid) bool { return len(f.services) > 0 && len(g.services) == 0 })
	for i, g := range grids {
		if len(grids) > 1 {
			if i > 0 {
				b.WriteByte('\n')
			}
			b.WriteString(c.paint(bold, g.title()) + "\n")
		}
		t := g.table(now, false)
		if columns > 0 && t.width() > columns {
			t = g.table(now, true)
		}
		b.WriteString(t.render(c))
	}
	if text := legend(grids); text != "" {
		b.WriteString("\n" + c.paint(dim, strings.TrimSuffix(text, "\n")) + "\n")
	}
	return b.String()
}
