package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

const whyExample = `  # by service and environment
  sengu why checkout -e production
  sengu why checkout/production

  # by the name of the App
  sengu why shop-checkout-production

  # for a program
  sengu why checkout/production -o json`

// account is the answer of `why`: what an App should be, what it is, the one reason that they differ, and what to do.
type account struct {
	App         string     `json:"app"`
	Fleet       string     `json:"fleet"`
	Service     string     `json:"service,omitempty"`
	Environment string     `json:"environment,omitempty"`
	Cluster     string     `json:"cluster"`
	Namespace   string     `json:"namespace"`
	Path        string     `json:"path"`
	ShouldRun   string     `json:"shouldRun"`
	Runs        string     `json:"runs,omitempty"`
	LastSynced  *time.Time `json:"lastSynced,omitempty"`
	Sync        string     `json:"sync"`
	Health      string     `json:"health"`
	Why         string     `json:"why,omitempty"`
	Since       *time.Time `json:"since,omitempty"`
	Next        []string   `json:"next,omitempty"`
}

// whyCommand is `sengu why`.
func (p *program) whyCommand() *cobra.Command {
	var sc scope
	var output string
	cmd := &cobra.Command{
		Use:   "why APP",
		Short: "Why an app is not as Git says, since when, and what to do next",
		Long: `Says what an app should run, what it runs, the one reason that they differ, since when,
and what moves it on. APP is a service with -e ENVIRONMENT, SERVICE/ENVIRONMENT, or the
name of an App.`,
		Example:           whyExample,
		GroupID:           groupSee,
		Args:              exactly("APP"),
		ValidArgsFunction: p.completeApp,
		RunE: func(cmd *cobra.Command, a []string) error {
			return p.why(cmd.Context(), a[0], sc, output)
		},
	}
	p.scopeFlags(cmd, &sc)
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text, json or yaml")
	complete(cmd, "output", "text", "json", "yaml")
	return cmd
}

// scopeFlags adds the flags that help to say which App is meant.
func (p *program) scopeFlags(cmd *cobra.Command, sc *scope) {
	cmd.Flags().StringVarP(&sc.env, "environment", "e", "", "environment of the service")
	cmd.Flags().StringVarP(&sc.fleet, "fleet", "f", "", "fleet of the service, if several have one of this name")
	p.completeScope(cmd)
}

func (p *program) why(ctx context.Context, word string, sc scope, output string) error {
	_, snap, app, err := p.find(ctx, word, sc)
	if err != nil {
		return err
	}
	a := snap.account(app)
	switch output {
	case "text":
		p.printf("%s", a.text(p.now(), app, p.painter(p.out)))
		return nil
	case "json", "yaml":
		text, err := encode(a, output)
		p.printf("%s", text)
		return err
	}
	return usageError{fmt.Errorf("-o is %q: it must be text, json or yaml", output)}
}

// account gathers the answer for app from what the controllers wrote.
func (s snapshot) account(app *v1alpha1.App) account {
	a := account{
		App: app.Name, Fleet: app.Spec.Fleet, Service: app.Spec.Service, Environment: app.Spec.Environment,
		Cluster: app.Spec.Source.Cluster, Namespace: app.Spec.Source.Namespace, Path: app.Spec.Source.Path,
		ShouldRun: app.Spec.Source.Revision, Runs: app.Status.Revision,
		Sync: syncWord(app.Status.Sync), Health: healthWord(app.Status.Health),
	}
	if t := lastSynced(app); !t.IsZero() {
		a.LastSynced = &t
	}
	why, next := s.diagnose(app)
	a.Next = next
	if why != nil {
		a.Why = why.Message
		if !why.Since.IsZero() {
			a.Since = &why.Since.Time
		}
	}
	return a
}

// text is the answer for a person.
func (a account) text(now time.Time, app *v1alpha1.App, c painter) string {
	var b strings.Builder
	where := fmt.Sprintf("cluster %s, namespace %s, App %s", a.Cluster, a.Namespace, a.App)
	name := a.App
	if a.Service != "" {
		name = a.Service + " in " + a.Environment
	}
	fmt.Fprintf(&b, "%s  %s\n\n", c.paint(bold, name), c.paint(dim, where))
	line := func(word, text string) { fmt.Fprintf(&b, "  %-11s %s\n", word, text) }
	line("should run", short(a.ShouldRun)+"  "+c.paint(dim, a.Path+" of fleet "+a.Fleet))
	runs := "nothing yet"
	if a.Runs != "" {
		runs = short(a.Runs)
		if a.LastSynced != nil {
			runs += "  " + c.paint(dim, "applied "+ago(now, *a.LastSynced))
		}
	}
	line("runs", runs)
	line("sync", c.paint(syncStyle(app.Status.Sync), a.Sync))
	line("health", c.paint(healthStyle(app.Status.Health), a.Health))
	b.WriteByte('\n')
	if a.Why == "" {
		fmt.Fprintf(&b, "All is as Git says.\n")
	} else {
		fmt.Fprintf(&b, "%s %s\n", c.paint(yellow, "Why:"), a.Why)
		if a.Since != nil {
			fmt.Fprintf(&b, "Since: %s (%s)\n", ago(now, *a.Since), a.Since.UTC().Format("2006-01-02 15:04:05 MST"))
		}
	}
	b.WriteString(details(app))
	for i, next := range a.Next {
		word := "Next:"
		if i > 0 {
			word = "     "
		}
		fmt.Fprintf(&b, "%s %s\n", c.paint(bold, word), next)
	}
	return b.String()
}

// maxDetails bounds how many objects one answer names.
const maxDetails = 5

// details names what has drifted and what would be deleted.
func details(app *v1alpha1.App) string {
	var b strings.Builder
	for i, d := range app.Status.Drift {
		if i == maxDetails {
			fmt.Fprintf(&b, "  … and %s\n", plural(len(app.Status.Drift)-i, "more object", "more objects"))
			break
		}
		fmt.Fprintf(&b, "  %s: %s", objectName(d.ID), strings.Join(d.Fields, ", "))
		if d.Manager != "" {
			fmt.Fprintf(&b, " changed by %s", d.Manager)
		}
		b.WriteByte('\n')
	}
	if r := app.Status.PendingRemoval; r != nil {
		for _, id := range r.Examples {
			fmt.Fprintf(&b, "  would delete %s\n", objectName(id))
		}
		if more := int(r.Count) - len(r.Examples); more > 0 && len(r.Examples) > 0 {
			fmt.Fprintf(&b, "  … and %s\n", plural(more, "more object", "more objects"))
		}
	}
	return b.String()
}
