package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

const releaseListExample = `  # what is on its way, and what ended lately
  sengu release list

  # of one service, with all that is remembered
  sengu release list checkout --all

  # what waits before production
  sengu release list -e production`

// listed are the flags of `release list`.
type listed struct {
	scope  scope
	all    bool
	output string
}

// lately is how long a Release that has ended is still listed without --all.
const lately = 24 * time.Hour

func (p *program) releaseListCommand() *cobra.Command {
	var o listed
	cmd := &cobra.Command{
		Use:   "list [SERVICE]",
		Short: "The changes on their way, the newest first, and what each waits for",
		Long: `Lists the Releases that are on their way, and those that ended within a day. The column
JOURNEY has a mark for each environment: ✓ done, = passed unchanged, ● on its way, ? waits
for a person, … waits, ✗ failed, ↩ rolled back, » superseded.`,
		Example:           releaseListExample,
		Args:              args(cobra.MaximumNArgs(1)),
		ValidArgsFunction: p.completeRelease,
		RunE: func(cmd *cobra.Command, a []string) error {
			service := ""
			if len(a) == 1 {
				service = a[0]
			}
			return p.releaseList(cmd.Context(), service, o)
		},
	}
	p.scopeFlags(cmd, &o.scope)
	cmd.Flags().BoolVar(&o.all, "all", false, "also those that ended long ago")
	cmd.Flags().StringVarP(&o.output, "output", "o", "table", "table, json or yaml")
	complete(cmd, "output", "table", "json", "yaml")
	return cmd
}

func (p *program) releaseList(ctx context.Context, service string, o listed) error {
	_, snap, err := p.snap(ctx)
	if err != nil {
		return err
	}
	f := filter{fleet: o.scope.fleet}
	if o.scope.env != "" {
		f.envs = []string{o.scope.env}
	}
	if err := snap.check(f, "matrix"); err != nil {
		return err
	}
	if service != "" && len(snap.newest(o.scope.fleet, service)) == 0 {
		_, err := snap.release(service, o.scope.fleet, anyRelease)
		return err
	}
	found := slices.DeleteFunc(snap.newest(o.scope.fleet, service), func(r *v1alpha1.Release) bool {
		if o.scope.env != "" {
			if is := at(r, o.scope.env); is == nil || is.Stage == v1alpha1.StageDone {
				return true
			}
		}
		return !o.all && r.Status.Ended != nil && p.now().Sub(r.Status.Ended.Time) > lately
	})
	switch o.output {
	case "json", "yaml":
		list := v1alpha1.ReleaseList{}
		list.APIVersion, list.Kind = v1alpha1.GroupVersion.String(), "ReleaseList"
		for _, r := range found {
			list.Items = append(list.Items, *r)
		}
		text, err := encode(list, o.output)
		p.printf("%s", text)
		return err
	case "table":
	default:
		return usageError{fmt.Errorf("-o is %q: it must be table, json or yaml", o.output)}
	}
	if len(found) == 0 {
		p.notef("Nothing is on its way%s.\n", map[bool]string{false: "; --all lists what ended long ago"}[o.all])
		return nil
	}
	c := p.painter(p.out)
	p.printf("%s", snap.releaseTable(p.now(), found, width(p.out)).render(c))
	blank := "\n"
	for _, r := range found {
		if r.Status.Ended == nil && r.Status.Why != nil {
			p.printf("%s%s %s\n", blank, c.paint(yellow, r.Name+":"), r.Status.Why.Message)
			blank = ""
		}
	}
	return nil
}

const (
	// wideTitle and narrowTitle bound what is shown of the title of a commit, in characters.
	wideTitle, narrowTitle = 44, 12
)

// releaseTable lists Releases within so many columns, 0 for any: first the titles get shorter, and then they go.
func (s snapshot) releaseTable(now time.Time, found []*v1alpha1.Release, columns int) *table {
	draw := func(title int) *table {
		t := &table{}
		head := []string{"release", "change", "journey", "stage", "age"}
		if title == 0 {
			head = slices.Delete(head, 1, 2)
		}
		t.head(head...)
		for _, r := range found {
			row := []cell{
				{text: r.Name, style: bold}, {text: cut(r.Spec.Commit.Title, title)}, {text: s.marks(r)},
				{text: stageWord(r.Status.Stage), style: stageStyle(r.Status.Stage)}, {text: age(now, r.CreationTimestamp.Time), style: dim},
			}
			if title == 0 {
				row = slices.Delete(row, 1, 2)
			}
			t.add(row...)
		}
		return t
	}
	t := draw(wideTitle)
	if over := t.width() - columns; columns > 0 && over > 0 {
		longest := t.widths()[1]
		if longest-over < narrowTitle {
			return draw(0)
		}
		return draw(longest - over)
	}
	return t
}

// marks is the journey of r in a few characters: a mark for each environment, with the name of the one where it is.
func (s snapshot) marks(r *v1alpha1.Release) string {
	text := ""
	named := false
	for _, env := range s.journey(r) {
		is := at(r, env)
		mark, _ := stageMark(is)
		if text != "" {
			text += " "
		}
		text += mark
		if !named && is != nil && is.Stage != v1alpha1.StageDone {
			text += " " + env
			named = true
		}
	}
	return text
}

// journey lists the environments of r in the order of its Fleet.
func (s snapshot) journey(r *v1alpha1.Release) []string {
	var names []string
	if fleet := s.fleet(r.Spec.Fleet); fleet != nil {
		for _, env := range fleet.Spec.Environments {
			if slices.ContainsFunc(r.Spec.Environments, func(e v1alpha1.ReleaseEnvironment) bool { return e.Name == env.Name }) {
				names = append(names, env.Name)
			}
		}
		return names
	}
	for _, env := range r.Spec.Environments {
		names = append(names, env.Name)
	}
	return names
}

// cut bounds a text, in characters.
func cut(text string, most int) string {
	if runes := []rune(text); most > 0 && len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}
