package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// annotationSync asks for a sync, or a fetch, at once. Any new value does.
const annotationSync = "sengu.dev/sync"

const syncExample = `  # apply an app again, whatever Sengu believes that the cluster holds
  sengu sync checkout -e production

  # and follow it until it is synced and healthy
  sengu sync checkout/production --wait

  # fetch the repository of a fleet now, instead of at the next poll
  sengu sync -f shop

  # fetch, and apply every app of the fleet again
  sengu sync --all -f shop --wait`

// syncOptions are the flags of `sync`.
type syncOptions struct {
	scope   scope
	all     bool
	wait    bool
	timeout time.Duration
}

// syncCommand is `sengu sync`.
func (p *program) syncCommand() *cobra.Command {
	var o syncOptions
	cmd := &cobra.Command{
		Use:   "sync APP | --all | -f FLEET",
		Short: "Apply an app again now, or fetch the repository of a fleet now",
		Long: `Asks Sengu to apply every object of an app again, whether or not it believes that
anything differs: this puts drift back where self-heal is off, and tries again at once
what failed. Without an app it asks to fetch the repository of a fleet now.

With --wait it returns when all of them are synced and healthy, and fails with the reason
when one of them cannot be.`,
		Example:           syncExample,
		GroupID:           groupAct,
		Args:              args(cobra.MaximumNArgs(1)),
		ValidArgsFunction: p.completeApp,
		RunE: func(cmd *cobra.Command, a []string) error {
			return p.sync(cmd.Context(), a, o)
		},
	}
	p.scopeFlags(cmd, &o.scope)
	flags := cmd.Flags()
	flags.BoolVar(&o.all, "all", false, "every app, or with -f every app of a fleet")
	flags.BoolVarP(&o.wait, "wait", "w", false, "return when they are synced and healthy")
	flags.DurationVar(&o.timeout, "timeout", 5*time.Minute, "how long to wait")
	return cmd
}

func (p *program) sync(ctx context.Context, a []string, o syncOptions) error {
	if len(a) == 1 && o.all {
		return usageError{errors.New("an APP and --all exclude each other")}
	}
	if len(a) == 0 && !o.all && o.scope.fleet == "" {
		return usageError{errors.New("say what to sync: an APP, --all, or a fleet with -f")}
	}
	pl, err := p.plane()
	if err != nil {
		return err
	}
	snap, err := pl.snapshot(ctx)
	if err != nil {
		return err
	}
	apps, fleets, err := snap.meant(a, o)
	if err != nil {
		return err
	}
	stamp := p.now().UTC().Format(time.RFC3339Nano)
	for _, f := range fleets {
		if err := pl.annotate(ctx, f, annotationSync, stamp); err != nil {
			return err
		}
		p.notef("fleet/%s: asked to fetch\n", f.Name)
	}
	for _, app := range apps {
		if err := pl.annotate(ctx, app, annotationSync, stamp); err != nil {
			return err
		}
		if len(apps) == 1 {
			p.notef("%s: asked to sync\n", title(app))
		}
	}
	if len(apps) > 1 {
		p.notef("%d apps: asked to sync\n", len(apps))
	}
	if !o.wait {
		return nil
	}
	return p.await(ctx, pl, awaited{apps: names(apps), fleets: fleetNamesOf(fleets), stamp: stamp, timeout: o.timeout})
}

// meant returns the Apps and the Fleets that the arguments of `sync` mean.
func (s snapshot) meant(a []string, o syncOptions) ([]*v1alpha1.App, []*v1alpha1.Fleet, error) {
	if len(a) == 1 {
		app, err := s.find(a[0], o.scope)
		if err != nil {
			return nil, nil, err
		}
		return []*v1alpha1.App{app}, nil, nil
	}
	f := filter{fleet: o.scope.fleet}
	if o.scope.env != "" {
		f.envs = []string{o.scope.env}
	}
	if err := s.check(f, "apps"); err != nil {
		return nil, nil, err
	}
	var fleets []*v1alpha1.Fleet
	for i := range s.fleets {
		if f.fleet == "" || s.fleets[i].Name == f.fleet {
			fleets = append(fleets, &s.fleets[i])
		}
	}
	if !o.all {
		return nil, fleets, nil
	}
	return sorted(s, f), fleets, nil
}

func names(apps []*v1alpha1.App) map[string]bool {
	set := map[string]bool{}
	for _, app := range apps {
		set[app.Name] = true
	}
	return set
}

func fleetNamesOf(fleets []*v1alpha1.Fleet) []string {
	words := make([]string, 0, len(fleets))
	for _, f := range fleets {
		words = append(words, f.Name)
	}
	return words
}

// annotate sets one annotation of o.
func (pl *plane) annotate(ctx context.Context, o client.Object, key, value string) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	before := o.DeepCopyObject().(client.Object)
	annotations := o.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[key] = value
	o.SetAnnotations(annotations)
	return pl.explain("annotate "+o.GetName(), pl.Patch(ctx, o, client.MergeFrom(before)))
}
