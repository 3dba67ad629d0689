package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// erase moves a terminal's cursor to its upper left corner and empties what is below.
const erase = "\x1b[H\x1b[2J"

// watch shows what `get` shows, again and again: on a terminal the whole of it in place, otherwise the whole once and
// then a line for every App that changed.
func (p *program) watch(ctx context.Context, pl *plane, kind string, o getOptions) error {
	lost := func(error) { p.notef("The plane at %s does not answer; still trying.\n", pl.config.Host) }
	seen := map[string]string{}
	first := true
	err := pl.follow(ctx, lost, func(snap snapshot) (bool, error) {
		if first {
			if err := snap.check(o.filter, kind); err != nil {
				return false, err
			}
		}
		redraw := isTerminal(p.out) && (o.output == "table" || o.output == "wide")
		lines, err := p.changes(snap, o, seen)
		if err != nil {
			return false, err
		}
		if redraw || (first && o.output != "json" && o.output != "yaml") {
			lines, err = p.show(kind, snap, o)
			if err != nil {
				return false, err
			}
		}
		if redraw {
			lines = erase + lines
		}
		p.printf("%s", lines)
		first = false
		return false, nil
	})
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// changes returns a line for every App that is not as seen has it, and notes it there.
func (p *program) changes(snap snapshot, o getOptions, seen map[string]string) (string, error) {
	var b strings.Builder
	c := p.painter(p.out)
	gone := map[string]bool{}
	for name := range seen {
		gone[name] = true
	}
	for _, app := range sorted(snap, o.filter) {
		delete(gone, app.Name)
		state := stateLine(app, c)
		if seen[app.Name] == state {
			continue
		}
		seen[app.Name] = state
		line, err := p.changeLine(app, state, o.output)
		if err != nil {
			return "", err
		}
		b.WriteString(line)
	}
	for name := range gone {
		delete(seen, name)
		fmt.Fprintf(&b, "%s %s is gone\n", p.now().Format("15:04:05"), name)
	}
	return b.String(), nil
}

func (p *program) changeLine(app *v1alpha1.App, state, output string) (string, error) {
	switch output {
	case "json":
		line, err := json.Marshal(stamped(app))
		if err != nil {
			return "", fmt.Errorf("write json: %w", err)
		}
		return string(line) + "\n", nil
	case "yaml":
		text, err := encode(stamped(app), "yaml")
		return "---\n" + text, err
	}
	return p.now().Format("15:04:05") + " " + state + "\n", nil
}

// stateLine says in one line what app is.
func stateLine(app *v1alpha1.App, c painter) string {
	st := app.Status
	line := fmt.Sprintf("%s %s %s %s", title(app), revisions(app),
		c.paint(syncStyle(st.Sync), syncWord(st.Sync)), c.paint(healthStyle(st.Health), healthWord(st.Health)))
	if st.Why != nil {
		line += ": " + st.Why.Message
	}
	return line
}

// stamped returns a copy of app that says its kind, for an output that has one App a document.
func stamped(app *v1alpha1.App) *v1alpha1.App {
	app = app.DeepCopy()
	app.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("App"))
	app.ManagedFields = nil
	return app
}
