package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/manifest"
)

const confirmExample = `  # what does this app wait to delete? asks before it lets it
  sengu confirm app/checkout/production

  # the services that disappeared from the repository of a fleet
  sengu confirm fleet/shop

  # without a question, for exactly the deletion that this token stands for
  sengu confirm app/checkout.production.shop 3f2a9c --yes`

// confirmOptions are the flags of `confirm`.
type confirmOptions struct {
	scope scope
	yes   bool
}

// confirmCommand is `sengu confirm`.
func (p *program) confirmCommand() *cobra.Command {
	var o confirmOptions
	cmd := &cobra.Command{
		Use:   "confirm app/APP|fleet/FLEET [TOKEN]",
		Short: "Let a deletion go on that waits for a person",
		Long: `Shows what an app or a fleet would delete, and lets it once you agree. Sengu waits for
this when a commit removes more than it deletes by itself, and always before it deletes a
Namespace, a CustomResourceDefinition or a volume. The token stands for exactly what is
shown: if something else would be deleted in the meantime, it counts for nothing.

To keep what would be deleted, bring it back to Git instead.`,
		Example:           confirmExample,
		GroupID:           groupAct,
		Args:              args(cobra.RangeArgs(1, 2)),
		ValidArgsFunction: p.completeConfirm,
		RunE: func(cmd *cobra.Command, a []string) error {
			return p.confirm(cmd.Context(), a, o)
		},
	}
	p.scopeFlags(cmd, &o.scope)
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	return cmd
}

func (p *program) completeConfirm(cmd *cobra.Command, a []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(a) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return p.completeFrom(func(s snapshot) []string {
		var words []string
		for i := range s.fleets {
			if s.fleets[i].Status.PendingRemoval != nil {
				words = append(words, "fleet/"+s.fleets[i].Name)
			}
		}
		for i := range s.apps {
			if s.apps[i].Status.PendingRemoval != nil {
				words = append(words, "app/"+s.apps[i].Name)
			}
		}
		return words
	})(cmd, a, word)
}

func (p *program) confirm(ctx context.Context, a []string, o confirmOptions) error {
	pl, err := p.plane()
	if err != nil {
		return err
	}
	snap, err := pl.snapshot(ctx)
	if err != nil {
		return err
	}
	object, name, pending, err := snap.pending(a[0], o.scope)
	if err != nil {
		return err
	}
	if pending == nil {
		return fmt.Errorf("%s waits for no confirmation", name)
	}
	if len(a) == 2 && a[1] != pending.Token {
		return fmt.Errorf("token %s stands for another deletion than the one that %s waits for now: run `sengu confirm %s` to see it", a[1], name, a[0])
	}
	p.printf("%s", pendingText(name, pending))
	if !o.yes {
		if err := p.ask("Delete?"); err != nil {
			return err
		}
	}
	if err := pl.annotate(ctx, object, manifest.AnnotationConfirm, pending.Token); err != nil {
		return err
	}
	p.notef("%s: confirmed\n", name)
	return nil
}

// pending finds what word means and the deletion that it waits to do.
func (s snapshot) pending(word string, sc scope) (client.Object, string, *v1alpha1.PendingRemoval, error) {
	kind, name, ok := strings.Cut(word, "/")
	switch {
	case ok && kind == "app":
		app, err := s.find(name, sc)
		if err != nil {
			return nil, "", nil, err
		}
		return app, "app " + title(app), app.Status.PendingRemoval, nil
	case ok && kind == "fleet":
		f := s.fleet(name)
		if f == nil {
			return nil, "", nil, oneOf("fleet", name, fleetNames(s.fleets))
		}
		return f, "fleet " + name, f.Status.PendingRemoval, nil
	}
	return nil, "", nil, usageError{fmt.Errorf("%q must be app/APP or fleet/FLEET", word)}
}

// pendingText shows what would be deleted.
func pendingText(name string, pending *v1alpha1.PendingRemoval) string {
	var b strings.Builder
	what := plural(int(pending.Count), "object", "objects")
	if strings.HasPrefix(name, "fleet ") {
		what = plural(int(pending.Count), "app, with all that it has applied", "apps, with all that they have applied")
	}
	fmt.Fprintf(&b, "%s would delete %s:\n", name, what)
	for _, id := range pending.Examples {
		fmt.Fprintf(&b, "  %s\n", objectName(id))
	}
	if more := int(pending.Count) - len(pending.Examples); more > 0 {
		fmt.Fprintf(&b, "  … and %d more\n", more)
	}
	return b.String()
}

// ask asks a person. It is an error if the answer is not yes, or if there is nobody to ask.
func (p *program) ask(question string) error {
	if !isTerminal(p.in) {
		return errors.New("there is no terminal to ask on: say --yes if this is meant")
	}
	p.notef("%s [y/N] ", question)
	answer, err := bufio.NewReader(p.in).ReadString('\n')
	if err != nil {
		return errors.New("nothing was done: there was no answer")
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errors.New("nothing was done")
}
