package cli

import (
	"github.com/spf13/cobra"

	"github.com/sengu-dev/sengu/internal/render"
)

// workerCommand is the hidden `sengu render-worker`. The program itself starts the worker before it builds any verb;
// this is for whoever calls Run without that.
func (p *program) workerCommand() *cobra.Command {
	return &cobra.Command{
		Use:    render.WorkerVerb,
		Short:  "Render what comes on the standard input, in a sandbox",
		Hidden: true,
		Args:   args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			if code := render.WorkerMain(p.in, p.out); code != exitOK {
				return status(code)
			}
			return nil
		},
	}
}
