package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/release"
)

const releaseShowExample = `  # the newest Release of a service
  sengu release show checkout

  # drawn live, until it has ended or waits for a person
  sengu release show checkout --watch`

// shown are the flags of `release show`.
type shown struct {
	fleet  string
	watch  bool
	output string
}

func (p *program) releaseShowCommand() *cobra.Command {
	var o shown
	cmd := &cobra.Command{
		Use:   "show RELEASE|SERVICE",
		Short: "The journey of a change: each environment, its gates, and the one thing that it waits for",
		Long: `Shows a Release, or the newest one of a service: what it changes, how far it has come in
each environment, which gates are closed and what opens them, and what happened so far.
With --watch it is drawn live, until it has ended, or nothing of it goes on before a person
does something: then it says what. Exit code 0 if it is done or waits for a person, 1 if it
ended in any other way.`,
		Example:           releaseShowExample,
		Args:              exactly("RELEASE or SERVICE"),
		ValidArgsFunction: p.completeRelease,
		RunE: func(cmd *cobra.Command, a []string) error {
			return p.releaseShow(cmd.Context(), a[0], o)
		},
	}
	cmd.Flags().StringVarP(&o.fleet, "fleet", "f", "", "fleet of the service, if several have one of this name")
	cmd.Flags().BoolVarP(&o.watch, "watch", "w", false, "draw it again whenever something happens, until it has ended or waits for a person")
	cmd.Flags().StringVarP(&o.output, "output", "o", "text", "text, json or yaml")
	must(cmd.RegisterFlagCompletionFunc("fleet", p.completeFrom(func(s snapshot) []string { return fleetNames(s.fleets) })))
	complete(cmd, "output", "text", "json", "yaml")
	return cmd
}

func (p *program) releaseShow(ctx context.Context, word string, o shown) error {
	pl, snap, err := p.snap(ctx)
	if err != nil {
		return err
	}
	r, err := snap.release(word, o.fleet, anyRelease)
	if err != nil {
		return err
	}
	switch o.output {
	case "json", "yaml":
		text, err := encode(r, o.output)
		p.printf("%s", text)
		return err
	case "text":
	default:
		return usageError{fmt.Errorf("-o is %q: it must be text, json or yaml", o.output)}
	}
	if !o.watch {
		c := p.painter(p.out)
		p.printf("%s%s", snap.picture(p.now(), r, c), happenings(r, c))
		return nil
	}
	return p.watchRelease(ctx, pl, r.Name, 0)
}

// watchRelease draws a Release until it has ended or waits for a person: in place on a terminal, otherwise what happens
// after the transition seen, a line each, and what it waits for in the end.
func (p *program) watchRelease(ctx context.Context, pl *plane, name string, seen int64) error {
	var last *v1alpha1.Release
	lost := func(error) { p.notef("The plane at %s does not answer; still trying.\n", pl.config.Host) }
	err := pl.follow(ctx, lost, func(snap snapshot) (bool, error) {
		r, err := snap.release(name, "", anyRelease)
		if err != nil {
			return false, err
		}
		last = r
		stands, c := standsBeforePerson(r), p.painter(p.out)
		if isTerminal(p.out) {
			p.printf("%s%s%s", erase, snap.picture(p.now(), r, c), happenings(r, c))
		} else {
			for _, t := range r.Status.Journal {
				if t.Number > seen {
					p.printf("%s\n", happening(t))
					seen = t.Number
				}
			}
			if stands { // whoever reads the log of a pipeline has to be told what to do
				p.printf("\n%s", snap.picture(p.now(), r, c))
			}
		}
		return r.Status.Ended != nil && takenIn(r) || stands, nil
	})
	if errors.Is(err, context.Canceled) {
		return nil
	}
	if err == nil && last.Status.Ended != nil && last.Status.Stage != v1alpha1.StageDone {
		return fmt.Errorf("%s is %s: %s", last.Name, stageWord(last.Status.Stage), told(last.Status.Why))
	}
	return err
}

// takenIn reports whether Sengu has taken in what people have done to r: until then it may go on, also after its end.
func takenIn(r *v1alpha1.Release) bool { return int(r.Status.HandledActions) >= len(r.Spec.Actions) }

// standsBeforePerson reports whether r goes no further before a person does something: a gate that a person opens is the
// first that is closed before an environment, and nothing of r is at work in another or about to go in there.
func standsBeforePerson(r *v1alpha1.Release) bool {
	if !takenIn(r) {
		return false // perhaps somebody has done the very thing
	}
	found := false
	for i := range r.Status.Environments {
		is := &r.Status.Environments[i]
		switch is.Stage {
		case v1alpha1.StageDone, v1alpha1.StageFailed, v1alpha1.StageRolledBack, v1alpha1.StageSuperseded:
			continue
		case v1alpha1.StageWaiting:
		default:
			return false
		}
		switch {
		case release.AwaitsEarlier(*is): // it goes in when that one has passed
		case release.AwaitsPerson(*is):
			found = true
		default: // a window, a place or its turn comes by itself
			return false
		}
	}
	return found
}

func told(w *v1alpha1.Why) string {
	if w == nil {
		return ""
	}
	return w.Message
}

// happening is one line of a journal.
func happening(t v1alpha1.Transition) string {
	line := t.At.UTC().Format("2006-01-02 15:04:05") + "  " + t.Kind
	if t.Environment != "" {
		line += " " + t.Environment
	}
	if t.By != "" {
		line += " by " + t.By
	}
	if t.Why != "" {
		line += ": " + t.Why
	}
	if t.Loud {
		line += " (gates were skipped)"
	}
	return line
}

// picture draws r for a person.
func (s snapshot) picture(now time.Time, r *v1alpha1.Release, c painter) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n", c.paint(bold, r.Name), c.paint(stageStyle(r.Status.Stage), stageWord(r.Status.Stage)))
	fmt.Fprintf(&b, "%s\n", r.Spec.Commit.Title)
	fmt.Fprintf(&b, "%s\n\n", c.paint(dim, fmt.Sprintf("commit %s by %s, service %s of fleet %s, %s", short(r.Spec.Revision), author(r), r.Spec.Service, r.Spec.Fleet, ago(now, r.CreationTimestamp.Time))))
	for _, env := range s.journey(r) {
		s.block(&b, now, r, env, c)
	}
	if r.Status.Why != nil {
		word := "Waits:"
		if r.Status.Ended != nil {
			word = "Why:"
		}
		fmt.Fprintf(&b, "\n%s %s\n", c.paint(yellow, word), r.Status.Why.Message)
		if !r.Status.Why.Since.IsZero() {
			fmt.Fprintf(&b, "Since: %s\n", ago(now, r.Status.Why.Since.Time))
		}
	}
	return b.String()
}

// happenings lists what has happened to r, the oldest first.
func happenings(r *v1alpha1.Release, c painter) string {
	if len(r.Status.Journal) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n", c.paint(bold, "What happened")+c.paint(dim, " (UTC)"))
	for _, t := range r.Status.Journal[max(0, len(r.Status.Journal)-maxHappenings):] {
		text := happening(t)
		if t.Loud {
			text = c.paint(red, text)
		}
		fmt.Fprintf(&b, "  %s\n", text)
	}
	return b.String()
}

// maxHappenings is how much of a journal is shown.
const maxHappenings = 20

func author(r *v1alpha1.Release) string {
	name, _, _ := strings.Cut(r.Spec.Commit.Author, " <")
	if name == "" {
		return "somebody"
	}
	return name
}

// block draws one environment of a journey.
func (s snapshot) block(b *strings.Builder, now time.Time, r *v1alpha1.Release, env string, c painter) {
	is := at(r, env)
	mark, look := stageMark(is)
	if is == nil {
		fmt.Fprintf(b, "  %s %s\n", c.paint(look, mark), env)
		return
	}
	word := stageWord(is.Stage)
	if is.Unchanged {
		word = "unchanged"
	}
	fmt.Fprintf(b, "  %s %-14s %-12s %s", c.paint(look, mark), env, word, c.paint(dim, ago(now, is.Since.Time)))
	// The one thing that the whole waits for is told below.
	if is.Why != nil && is.Stage != v1alpha1.StageDone && told(r.Status.Why) != env+": "+is.Why.Message {
		fmt.Fprintf(b, "  %s", is.Why.Message)
	}
	b.WriteByte('\n')
	if is.Pinned != "" {
		fmt.Fprintf(b, "      %s %s ran here in place of what this brings\n", c.paint(yellow, "pinned:"), is.Pinned)
	}
	for _, step := range is.Steps {
		line := strings.ToLower(string(step.Phase))
		if step.Message != "" {
			line += ": " + step.Message
		}
		fmt.Fprintf(b, "      %s %s\n", step.Name, c.paint(dim, line))
	}
	if is.Stage != v1alpha1.StageWaiting {
		return
	}
	first := slices.IndexFunc(is.Gates, func(g v1alpha1.Gate) bool { return !g.Open })
	for i, g := range is.Gates {
		if !g.Open && i != first { // the first one is told above
			fmt.Fprintf(b, "      %s %s\n", c.paint(yellow, "also "+g.Name+":"), g.Message)
		}
	}
}
