package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// completionTimeout bounds what a shell waits for after the Tab key.
const completionTimeout = 2 * time.Second

// completer offers words for one place of a command line.
type completer = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

// completeFrom offers what pick finds in the plane, and nothing when there is no plane.
func (p *program) completeFrom(pick func(snapshot) []string) completer {
	return func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
		defer cancel()
		pl, err := p.plane()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		snap, err := pl.snapshot(ctx)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return pick(snap), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeScope completes the flags that say which fleet and which environment.
func (p *program) completeScope(cmd *cobra.Command) {
	must(cmd.RegisterFlagCompletionFunc("fleet", p.completeFrom(func(s snapshot) []string { return fleetNames(s.fleets) })))
	must(cmd.RegisterFlagCompletionFunc("environment", p.completeFrom(func(s snapshot) []string {
		return environments(s.fleets, "")
	})))
}

// completeApp completes one argument APP.
func (p *program) completeApp(cmd *cobra.Command, a []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(a) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return p.completeFrom(appWords)(cmd, a, word)
}

// appWords are the words that mean an App: with -e a service, without it SERVICE/ENVIRONMENT.
func appWords(s snapshot) []string {
	var words []string
	for _, app := range sorted(s, filter{}) {
		words = append(words, title(app))
	}
	return append(words, serviceNames(s.apps, "")...)
}

func (p *program) completeGet(cmd *cobra.Command, a []string, word string) ([]string, cobra.ShellCompDirective) {
	return p.completeFrom(func(s snapshot) []string {
		words := serviceNames(s.apps, "")
		if len(a) == 0 {
			words = append(words, "apps", "clusters", "fleets")
		}
		return words
	})(cmd, a, word)
}

const completionExample = `  # this shell, now
  source <(sengu completion bash)

  # every bash, every zsh, every fish
  sengu completion bash > ~/.local/share/bash-completion/completions/sengu
  sengu completion zsh  > "${fpath[1]}/_sengu"
  sengu completion fish > ~/.config/fish/completions/sengu.fish

  # PowerShell
  sengu completion powershell | Out-String | Invoke-Expression`

// completionCommand is `sengu completion`.
func (p *program) completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "A script that lets a shell complete verbs, flags, and the names of apps, services and environments",
		Long: `Prints a script for a shell. With it, the Tab key completes verbs and flags, and the
names of apps, services, fleets and environments as the plane has them at that moment.`,
		Example:   completionExample,
		GroupID:   groupRun,
		Args:      exactly("the shell: bash, zsh, fish or powershell"),
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		RunE: func(cmd *cobra.Command, a []string) error {
			root := cmd.Root()
			switch a[0] {
			case "bash":
				return root.GenBashCompletionV2(p.out, true)
			case "zsh":
				return root.GenZshCompletion(p.out)
			case "fish":
				return root.GenFishCompletion(p.out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(p.out)
			}
			return usageError{fmt.Errorf("%q is not a shell that this knows: it must be bash, zsh, fish or powershell", a[0])}
		},
	}
}
