package cli

import (
	"context"
	"fmt"
	"net/url"
	"slices"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

func (p *program) releaseLogsCommand() *cobra.Command {
	var sc scope
	var server string
	cmd := &cobra.Command{
		Use:   "logs RELEASE|SERVICE STEP [-e ENVIRONMENT]",
		Short: "What a Job of a change has logged, also when the Job is long gone",
		Long: `Prints the log of a Job that a Release ran before or after it was applied, or as a check. It is
kept with the history, without the values of the Secrets that the Job uses. Without -e it is
that of the first environment where the step ran; ` + "`sengu release show`" + ` lists the steps.

` + serverHelp,
		Example:           "  sengu release logs checkout migrate -e staging",
		Args:              args(cobra.ExactArgs(2)),
		ValidArgsFunction: p.completeRelease,
		RunE: func(cmd *cobra.Command, a []string) error {
			return p.releaseLogs(cmd.Context(), a[0], a[1], sc, server)
		},
	}
	p.scopeFlags(cmd, &sc)
	cmd.Flags().StringVar(&server, "server", "", serverUsage)
	return cmd
}

func (p *program) releaseLogs(ctx context.Context, word, step string, sc scope, server string) error {
	for what, name := range map[string]string{"step": step, "environment": sc.env} {
		if name != "" && len(validation.IsDNS1123Subdomain(name)) > 0 {
			return usageError{fmt.Errorf("%q is no name of a %s, which has lower-case letters, digits, dots and dashes", name, what)}
		}
	}
	_, snap, err := p.snap(ctx)
	if err != nil {
		return err
	}
	r, err := snap.release(word, sc.fleet, func(r *v1alpha1.Release) bool {
		if sc.env != "" {
			return ran(at(r, sc.env), step)
		}
		_, err := snap.ranIn(r, step)
		return err == nil
	})
	if err != nil {
		return err
	}
	env := sc.env
	if env == "" {
		if env, err = snap.ranIn(r, step); err != nil {
			return err
		}
	}
	text, err := p.inquire(ctx, server, "/api/v1/releases/"+url.PathEscape(r.Name)+"/logs/"+url.PathEscape(env)+"/"+url.PathEscape(step), nil)
	p.printf("%s", text)
	return err
}

func ran(is *v1alpha1.ReleaseEnvironmentStatus, step string) bool {
	return is != nil && slices.ContainsFunc(is.Steps, func(s v1alpha1.StepStatus) bool { return s.Name == step })
}

// ranIn returns the first environment where a step of r ran. The error says which steps there are. A step that is tried
// again is not among them until it runs, while the log of its last try is kept: only who names the environment is led there.
func (s snapshot) ranIn(r *v1alpha1.Release, step string) (string, error) {
	var steps []string
	for _, env := range s.journey(r) {
		is := at(r, env)
		if ran(is, step) {
			return env, nil
		}
		if is == nil {
			continue
		}
		for _, known := range is.Steps {
			steps = append(steps, known.Name+" in "+env)
		}
	}
	if len(steps) == 0 {
		return "", fmt.Errorf("%s has run no step so far; for the log of an earlier try say in which environment with -e", r.Name)
	}
	return "", fmt.Errorf("%s has run no step %s, only %s; for the log of an earlier try say in which environment with -e", r.Name, step, list(steps))
}
