package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/health"
)

const treeExample = `  # the objects of an app, with the Pods below them
  sengu tree checkout -e production
  sengu tree checkout/production

  # with the ReplicaSets that are scaled to nothing as well
  sengu tree checkout/production --all`

// treeOptions are the flags of `tree`.
type treeOptions struct {
	scope  scope
	output string
	all    bool
	exec   []string
}

// treeCommand is `sengu tree`.
func (p *program) treeCommand() *cobra.Command {
	var o treeOptions
	cmd := &cobra.Command{
		Use:   "tree APP",
		Short: "The objects of an app, live, with ReplicaSets and Pods below them",
		Long: `Shows every object that an app has applied as it is in the cluster now: its health, and
why it is not healthy, judged as the App is, by the health rules of sengu.yaml too.
Below a workload stand its ReplicaSets, Jobs and Pods.

It reads the cluster with the kubeconfig of its Cluster.`,
		Example:           treeExample,
		GroupID:           groupSee,
		Args:              exactly("APP"),
		ValidArgsFunction: p.completeApp,
		RunE: func(cmd *cobra.Command, a []string) error {
			return p.tree(cmd.Context(), a[0], o)
		},
	}
	p.scopeFlags(cmd, &o.scope)
	flags := cmd.Flags()
	flags.StringVarP(&o.output, "output", "o", "text", "text, json or yaml")
	flags.BoolVarP(&o.all, "all", "a", false, "also ReplicaSets that are scaled to nothing")
	execFlag(cmd, &o.exec)
	complete(cmd, "output", "text", "json", "yaml")
	return cmd
}

func (p *program) tree(ctx context.Context, word string, o treeOptions) error {
	pl, snap, app, err := p.find(ctx, word, o.scope)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	roots, err := p.grow(ctx, pl, snap, app, o)
	if err != nil {
		return err
	}
	switch o.output {
	case "text":
		p.printf("%s", treeText(app, roots, p.painter(p.out)))
		return nil
	case "json", "yaml":
		text, err := encode(map[string]any{"app": app.Name, "cluster": app.Spec.Source.Cluster, "objects": roots}, o.output)
		p.printf("%s", text)
		return err
	}
	return usageError{fmt.Errorf("-o is %q: it must be text, json or yaml", o.output)}
}

// grow reads the objects of app from its cluster.
func (p *program) grow(ctx context.Context, pl *plane, snap snapshot, app *v1alpha1.App, o treeOptions) ([]*node, error) {
	if len(app.Status.Inventory) == 0 {
		return []*node{}, nil
	}
	name := app.Spec.Source.Cluster
	if app.Status.Cluster != "" {
		name = app.Status.Cluster
	}
	cluster := snap.cluster(name)
	if cluster == nil {
		return nil, fmt.Errorf("there is no Cluster %s any more, which app %s is on", name, app.Name)
	}
	conn, err := pl.target(ctx, cluster, o.exec)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	rules, err := health.Compile(health.Recalled(app.Status.JudgedBy))
	if err != nil {
		p.notef("note: health is judged without the rules of sengu.yaml, which this version of sengu cannot read: %s\n", sentence(err))
	}
	g := grower{conn: conn, now: p.now(), all: o.all, rules: rules}
	roots, err := g.roots(ctx, app)
	if err != nil {
		return nil, err
	}
	if err := g.children(ctx, roots); err != nil {
		p.notef("note: what is below the objects cannot be listed: %s\n", sentence(err))
	}
	return roots, nil
}

// treeText draws the objects of app.
func treeText(app *v1alpha1.App, roots []*node, c painter) string {
	var b strings.Builder
	st := app.Status
	fmt.Fprintf(&b, "%s  %s %s %s  %s\n", c.paint(bold, title(app)), revisions(app),
		c.paint(syncStyle(st.Sync), syncWord(st.Sync)), c.paint(healthStyle(st.Health), healthWord(st.Health)),
		c.paint(dim, "cluster "+app.Spec.Source.Cluster+", namespace "+app.Spec.Source.Namespace))
	if len(roots) == 0 {
		b.WriteString("It has applied nothing yet.\n")
	}
	t := &table{}
	for i, n := range roots {
		n.draw(t, "", i == len(roots)-1)
	}
	b.WriteString(t.render(c))
	return b.String()
}

// draw adds n and what is below it to t, with lines from the left.
func (n *node) draw(t *table, prefix string, last bool) {
	branch, indent := "├─ ", "│  "
	if last {
		branch, indent = "└─ ", "   "
	}
	t.add(
		cell{text: prefix + branch + n.label()},
		cell{text: healthWord(n.Health), style: healthStyle(n.Health)},
		cell{text: strings.Join(n.remarks(), "; ")},
	)
	for i, child := range n.Children {
		child.draw(t, prefix+indent, i == len(n.Children)-1)
	}
}
