package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

const whyExample = `  # where is my change?
  sengu why checkout

  # by service and environment
  sengu why checkout -e production
  sengu why checkout/production

  # by the name of the App
  sengu why checkout.production.shop

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
	// Held is who keeps changes out, Coming the newest change that is not live here, Stage how far it has come and Waits
	// what for.
	Held   string         `json:"held,omitempty"`
	Coming string         `json:"coming,omitempty"`
	Stage  v1alpha1.Stage `json:"stage,omitempty"`
	Waits  string         `json:"waits,omitempty"`
	// Pinned is the image that runs in place of what Git says, until when, and why.
	Pinned string `json:"pinned,omitempty"`
	// Refused is why the last roll-back that somebody asked for was not done.
	Refused string `json:"refused,omitempty"`
}

// whyCommand is `sengu why`.
func (p *program) whyCommand() *cobra.Command {
	var sc scope
	var output string
	cmd := &cobra.Command{
		Use:   "why SERVICE [-e ENVIRONMENT]",
		Short: "Why a change is not live yet, or an app not as Git says: the one thing that it waits for",
		Long: `With a service, walks from its newest change through the environments to the one thing that
it waits for, since when, and what moves it on. With -e ENVIRONMENT, as SERVICE/ENVIRONMENT,
or with the name of an App, says what the app should run, what it runs, the one reason that
they differ, and which change waits before it.`,
		Example:           whyExample,
		GroupID:           groupSee,
		Args:              exactly("SERVICE or APP"),
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
	_, snap, err := p.snap(ctx)
	if err != nil {
		return err
	}
	if sc.env == "" && snap.isService(word, sc.fleet) {
		return p.whyService(snap, word, sc.fleet, output)
	}
	app, err := snap.find(word, sc)
	if err != nil {
		return err
	}
	a := snap.account(p.now(), app)
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

// isService reports whether word is a service that runs in several environments or has a Release, and not the name of an
// App.
func (s snapshot) isService(word, fleet string) bool {
	runs := 0
	for _, app := range sorted(s, filter{fleet: fleet}) {
		if app.Name == word {
			return false
		}
		if app.Spec.Service == word {
			runs++
		}
	}
	return runs > 1 || len(s.newest(fleet, word)) > 0
}

// whyService walks from the newest change of a service to the one thing that it waits for.
func (p *program) whyService(snap snapshot, service, fleet, output string) error {
	if len(snap.newest(fleet, service)) == 0 {
		return p.whyEverywhere(snap, service, fleet, output)
	}
	r, err := snap.release(service, fleet, func(r *v1alpha1.Release) bool { return r.Status.Ended == nil })
	if err != nil {
		return err
	}
	switch output {
	case "json", "yaml":
		text, err := encode(r, output)
		p.printf("%s", text)
		return err
	case "text":
	default:
		return usageError{fmt.Errorf("-o is %q: it must be text, json or yaml", output)}
	}
	c := p.painter(p.out)
	p.printf("%s\n", c.paint(bold, service)+"  "+snap.verdict(r, c))
	p.printf("%s\n\n", c.paint(dim, fmt.Sprintf("%s: %s, by %s", r.Name, r.Spec.Commit.Title, author(r))))
	var b strings.Builder
	for _, env := range snap.journey(r) {
		snap.block(&b, p.now(), r, env, c)
	}
	p.printf("%s", b.String())
	if why := r.Status.Why; why != nil && r.Status.Stage != v1alpha1.StageDone {
		p.printf("\n%s %s\nSince: %s\n", c.paint(yellow, "Why:"), why.Message, ago(p.now(), why.Since.Time))
	}
	p.printf("%s", snap.aside(p.now(), r, c))
	return nil
}

// aside tells what else there is to know of the service of r: where it is held, and that a newer change stopped.
func (s snapshot) aside(now time.Time, r *v1alpha1.Release, c painter) string {
	var b strings.Builder
	if newest := s.newest(r.Spec.Fleet, r.Spec.Service)[0]; newest.Name != r.Name {
		fmt.Fprintf(&b, "%s %s is %s: %s\n", c.paint(yellow, "Newer:"), newest.Name, stageWord(newest.Status.Stage), told(newest.Status.Why))
	}
	for _, app := range sorted(s, filter{fleet: r.Spec.Fleet}) {
		if app.Spec.Service == r.Spec.Service && app.Spec.Hold.Active() {
			fmt.Fprintf(&b, "%s  %s, %s: `%s` ends that\n", c.paint(yellow, "Held:"), app.Spec.Environment, heldBy(now, app), resumeOf(app))
		}
	}
	return b.String()
}

// verdict says in a few words where a change is.
func (s snapshot) verdict(r *v1alpha1.Release, c painter) string {
	live := 0
	envs := s.journey(r)
	for _, env := range envs {
		if at(r, env) != nil && at(r, env).Stage == v1alpha1.StageDone {
			live++
		}
	}
	return c.paint(stageStyle(r.Status.Stage), stageWord(r.Status.Stage)) + fmt.Sprintf(", %d of %d environments passed", live, len(envs))
}

// whyEverywhere answers for a service that has not changed since it was first delivered.
func (p *program) whyEverywhere(snap snapshot, service, fleet, output string) error {
	for _, app := range sorted(snap, filter{fleet: fleet}) {
		if app.Spec.Service != service {
			continue
		}
		a := snap.account(p.now(), app)
		if output != "text" {
			text, err := encode(a, output)
			if err != nil {
				return err
			}
			p.printf("%s", text)
			continue
		}
		p.printf("%s\n", a.text(p.now(), app, p.painter(p.out)))
	}
	return nil
}

// account gathers the answer for app from what the controllers wrote.
func (s snapshot) account(now time.Time, app *v1alpha1.App) account {
	a := account{
		App: app.Name, Fleet: app.Spec.Fleet, Service: app.Spec.Service, Environment: app.Spec.Environment,
		Cluster: app.Spec.Source.Cluster, Namespace: app.Spec.Source.Namespace, Path: app.Spec.Source.Path,
		ShouldRun: app.Spec.Source.Revision, Runs: app.Status.Revision,
		Sync: syncWord(app.Status.Sync), Health: healthWord(app.Status.Health),
	}
	if t := lastSynced(app); !t.IsZero() {
		a.LastSynced = &t
	}
	a.Held, a.Refused = heldBy(now, app), refusedOf(now, app)
	if pin := app.Spec.Pin; app.Status.Pinned != "" && pin != nil {
		a.Pinned = fmt.Sprintf("%s until %s, by %s: %s", app.Status.Pinned, pin.Until.UTC().Format("2006-01-02 15:04 UTC"), pin.By, pin.Reason)
	}
	if r, is := s.coming(app); r != nil {
		a.Coming, a.Stage, a.Waits = r.Name, is.Stage, waitsFor(r, is)
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
	if a.Held != "" {
		line("held", c.paint(yellow, a.Held))
	}
	if a.Pinned != "" {
		line("pinned", c.paint(yellow, a.Pinned))
	}
	if a.Refused != "" {
		line("roll-back", c.paint(yellow, a.Refused))
	}
	switch a.Stage {
	case "":
	case v1alpha1.StageWaiting, v1alpha1.StageRunning, v1alpha1.StageVerifying:
		line("next change", a.Coming+"  "+c.paint(stageStyle(a.Stage), stageWord(a.Stage)))
	default:
		line("not here", a.Coming+"  "+c.paint(stageStyle(a.Stage), stageWord(a.Stage)))
	}
	b.WriteByte('\n')
	switch {
	case a.Why == "" && a.Pinned != "":
		fmt.Fprintf(&b, "All is as Git says, but for what is pinned.\n")
	case a.Why == "":
		fmt.Fprintf(&b, "All is as Git says.\n")
	default:
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
