package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sengu-dev/sengu/internal/apply"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/manifest"
)

const adoptExample = `  # what is there already, who applied it, and what would change
  sengu adopt checkout/production --dry-run

  # take it over: shows the same, and asks
  sengu adopt checkout/production

  # without a question
  sengu adopt checkout -e production --yes`

// adoptOptions are the flags of `adopt`.
type adoptOptions struct {
	scope  scope
	dryRun bool
	yes    bool
	exec   []string
}

// adoptCommand is `sengu adopt`.
func (p *program) adoptCommand() *cobra.Command {
	var o adoptOptions
	cmd := &cobra.Command{
		Use:   "adopt APP",
		Short: "Take over what kubectl, Helm, Argo CD or Flux has applied",
		Long: `Makes the objects of an app Sengu's that exist in its cluster already: it folds the field
managers of the tool that applied them into its own, takes off what the tool finds them
by, and marks them as the app's. Nothing is deleted or made anew, and nothing else of an
object changes until the sync that follows, of which the fields are shown first.

Sengu never does this by itself: an object that exists already is a conflict until a
person adopts it. It fetches the repository with the credentials of the fleet, and writes
with those of the Cluster.`,
		Example:           adoptExample,
		GroupID:           groupAct,
		Args:              exactly("APP"),
		ValidArgsFunction: p.completeApp,
		RunE: func(cmd *cobra.Command, a []string) error {
			return p.adopt(cmd.Context(), a[0], o)
		},
	}
	p.scopeFlags(cmd, &o.scope)
	flags := cmd.Flags()
	flags.BoolVar(&o.dryRun, "dry-run", false, "only show what would be done")
	flags.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	execFlag(cmd, &o.exec)
	return cmd
}

func (p *program) adopt(ctx context.Context, word string, o adoptOptions) error {
	pl, snap, app, err := p.find(ctx, word, o.scope)
	if err != nil {
		return err
	}
	shop, err := newWorkshop(pl, snap, o.exec)
	if err != nil {
		return err
	}
	defer shop.close()
	s, err := shop.subjectOf(app)
	if err != nil {
		return err
	}
	p.notef("rendering revision %s\n", short(s.spec.Source.Revision))
	want, at, err := shop.wantRevision(ctx, s)
	if err != nil {
		return fmt.Errorf("%s: %w", s.title(), err)
	}
	take := func(dry bool) []apply.Adoption {
		return apply.Adopt(ctx, at.conn, want.Set.Items(), want.Ignored, dry, s.options())
	}
	foreseen := take(true)
	p.printf("%s", adoptionText(s, foreseen, p.painter(p.out)))
	open := unadopted(foreseen)
	switch {
	case len(open) == 0:
		p.notef("there is nothing to adopt\n")
		return failures(foreseen)
	case o.dryRun:
		return failures(foreseen)
	case failures(foreseen) != nil:
		return failures(foreseen)
	}
	if !o.yes {
		if err := p.ask("Adopt?"); err != nil {
			return err
		}
	}
	done := take(false)
	if err := failures(done); err != nil {
		return err
	}
	// The next sync applies them, and with that they enter the inventory.
	if err := pl.annotate(ctx, app, annotationSync, p.now().UTC().Format(time.RFC3339Nano)); err != nil {
		return err
	}
	p.notef("%s adopted; `sengu sync %s --wait` follows the sync that applies them\n", plural(len(open), "object", "objects"), s.title())
	return nil
}

// wantRevision renders s at the revision that it should run, which it fetches as Sengu does.
func (w *workshop) wantRevision(ctx context.Context, s subject) (origin.Desired, *site, error) {
	dir, err := os.MkdirTemp("", "sengu-adopt-")
	if err != nil {
		return origin.Desired{}, nil, fmt.Errorf("make a folder for the repository: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	store, err := gitrepo.Open(filepath.Join(dir, "repositories"), gitrepo.Options{})
	if err != nil {
		return origin.Desired{}, nil, err
	}
	defer func() { _ = store.Close() }()
	repository, err := store.Repository(s.fleet.Spec.Git.URL)
	if err != nil {
		return origin.Desired{}, nil, err
	}
	auth, err := origin.Auth(ctx, w.pl, s.fleet)
	if err != nil {
		return origin.Desired{}, nil, err
	}
	if err := repository.FetchRevision(ctx, s.spec.Source.Revision, auth); err != nil {
		return origin.Desired{}, nil, fmt.Errorf("fetch revision %s: %w", short(s.spec.Source.Revision), err)
	}
	tree, err := origin.Tree(ctx, w.pl, s.fleet, repository, s.spec.Source.Revision)
	if err != nil {
		return origin.Desired{}, nil, err
	}
	return w.want(ctx, tree, s)
}

// unadopted are the objects that are there and not the App's.
func unadopted(all []apply.Adoption) []apply.Adoption {
	return slices.DeleteFunc(slices.Clone(all), func(a apply.Adoption) bool { return !a.Found || a.Already || a.Failure != nil })
}

// failures is one error of all objects that cannot be taken over.
func failures(all []apply.Adoption) error {
	var errs []error
	for _, a := range all {
		if a.Failure != nil {
			errs = append(errs, &apply.Error{Failure: *a.Failure})
		}
	}
	return errors.Join(errs...)
}

// adoptionText shows what adopting would do.
func adoptionText(s subject, all []apply.Adoption, c painter) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n", c.paint(bold, s.title()), c.paint(dim, "cluster "+s.spec.Source.Cluster+", namespace "+s.spec.Source.Namespace))
	var advice []string
	for _, a := range all {
		switch {
		case a.Failure != nil:
			fmt.Fprintf(&b, "  %s %s\n", c.paint(red, "!"), a.Failure.Sentence)
		case !a.Found:
			fmt.Fprintf(&b, "  %s %s is not there, and is made by the next sync\n", c.paint(green, "+"), a.Ref)
		case a.Already:
			fmt.Fprintf(&b, "    %s is the app's already\n", a.Ref)
		default:
			b.WriteString(adoptedText(a, c))
			for _, line := range a.Advice {
				if !slices.Contains(advice, line) {
					advice = append(advice, line)
				}
			}
		}
	}
	for _, line := range advice {
		fmt.Fprintf(&b, "%s %s\n", c.paint(yellow, "Mind:"), line)
	}
	return b.String()
}

func adoptedText(a apply.Adoption, c painter) string {
	var b strings.Builder
	by := list(a.Tools)
	if by == "" {
		by = list(a.Managers)
	}
	fmt.Fprintf(&b, "  %s %s", c.paint(yellow, "~"), a.Ref)
	if by != "" {
		fmt.Fprintf(&b, " applied by %s", by)
	}
	b.WriteByte('\n')
	if len(a.Removed) > 0 {
		fmt.Fprintf(&b, "      takes off %s\n", list(a.Removed))
	}
	for _, f := range a.Fields {
		fmt.Fprintf(&b, "      the next sync changes %s\n", fieldText(f))
	}
	return b.String()
}

func fieldText(f manifest.FieldDrift) string {
	if f.Manager == "" {
		return f.Path
	}
	return f.Path + ", set by " + f.Manager
}
