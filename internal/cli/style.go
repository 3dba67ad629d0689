package cli

import (
	"io"
	"os"

	"golang.org/x/term"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// style is how a piece of text looks on a terminal: the parameters of an ANSI "select graphic rendition" sequence.
type style string

const (
	plain  style = ""
	bold   style = "1"
	dim    style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
	cyan   style = "36"
)

// painter colours text, or leaves it as it is.
type painter bool

// paint returns text in style s.
func (c painter) paint(s style, text string) string {
	if !c || s == plain || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// painter returns what colours text for w.
func (p *program) painter(w io.Writer) painter {
	switch p.color {
	case "always":
		return true
	case "never":
		return false
	}
	return painter(p.env("NO_COLOR") == "" && p.env("TERM") != "dumb" && isTerminal(w))
}

// isTerminal says whether a person looks at w.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// width returns the columns of the terminal at w, and 0 when it is none.
func width(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	n, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return n
}

func syncStyle(s v1alpha1.SyncStatus) style {
	switch s {
	case v1alpha1.Synced:
		return green
	case v1alpha1.OutOfSync:
		return yellow
	}
	return dim
}

func healthStyle(h v1alpha1.HealthStatus) style {
	switch h {
	case v1alpha1.Healthy:
		return green
	case v1alpha1.Progressing:
		return cyan
	case v1alpha1.Degraded:
		return red
	case v1alpha1.Suspended, v1alpha1.Missing:
		return yellow
	}
	return dim
}
