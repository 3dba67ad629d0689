package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sengu-dev/sengu/internal/cli/local"
)

const downExample = `  # stop, and keep everything for the next sengu up
  sengu down

  # stop, and forget everything
  sengu down --delete`

// downCommand is `sengu down`.
func (p *program) downCommand() *cobra.Command {
	var folder string
	var remove bool
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Stop what sengu up started",
		Long: `Stops the control planes, the Git server and Sengu that ` + "`sengu up`" + ` started in the folder
.sengu, and returns when no process of them is left. What they hold is kept for the next
` + "`sengu up`" + `, unless --delete is given.`,
		Example: downExample,
		GroupID: groupRun,
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.down(cmd.Context(), folder, remove)
		},
	}
	cmd.Flags().StringVar(&folder, "dir", ".sengu", "folder of the local plane")
	cmd.Flags().BoolVar(&remove, "delete", false, "delete what it keeps as well")
	return cmd
}

func (p *program) down(ctx context.Context, folder string, remove bool) error {
	dir, err := local.Abs(folder)
	if err != nil {
		return err
	}
	if dir.PID() != 0 {
		p.notef("stopping\n")
	}
	found, err := dir.Stop(ctx)
	if err != nil {
		return err
	}
	if found {
		p.notef("the local plane in %s is down\n", folder)
	} else {
		p.notef("there was no local plane up in %s\n", folder)
	}
	if remove {
		return dir.Delete()
	}
	return nil
}
