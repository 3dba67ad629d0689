package cli

import (
	"context"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

func (p *program) releaseLogsCommand() *cobra.Command {
	var sc scope
	var server string
	cmd := &cobra.Command{
		Use:   "logs RELEASE|SERVICE STEP -e ENVIRONMENT",
		Short: "What a Job of a change has logged, also when the Job is long gone",
		Long: `Prints the log of a Job that a Release ran before or after it was applied, or as a check. It is
kept with the history, without the values of the Secrets that the Job uses.`,
		Example:           "  sengu release logs checkout migrate -e staging",
		Args:              args(cobra.ExactArgs(2)),
		ValidArgsFunction: p.completeRelease,
		RunE: func(cmd *cobra.Command, a []string) error {
			return p.releaseLogs(cmd.Context(), a[0], a[1], sc, server)
		},
	}
	p.scopeFlags(cmd, &sc)
	cmd.Flags().StringVar(&server, "server", "", "address of the Sengu server, such as https://sengu.example.com")
	return cmd
}

func (p *program) releaseLogs(ctx context.Context, word, step string, sc scope, server string) error {
	_, snap, err := p.snap(ctx)
	if err != nil {
		return err
	}
	ran := func(r *v1alpha1.Release, env string) bool {
		is := at(r, env)
		if is == nil {
			return false
		}
		for _, s := range is.Steps {
			if s.Name == step {
				return true
			}
		}
		return false
	}
	r, err := snap.release(word, sc.fleet, func(r *v1alpha1.Release) bool { return ran(r, sc.env) })
	if err != nil {
		return err
	}
	env := sc.env
	for _, name := range snap.journey(r) {
		if env == "" && ran(r, name) {
			env = name
		}
	}
	text, err := p.inquire(ctx, server, "/api/v1/releases/"+url.PathEscape(r.Name)+"/logs/"+url.PathEscape(env)+"/"+url.PathEscape(step), nil)
	p.printf("%s", text)
	return err
}
