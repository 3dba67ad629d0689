package cli

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const rootLong = `Git says what runs. Sengu makes it so, in every environment, in order, safely,
and can always say why something is not live yet.

  sengu up                     a plane of your own with an example fleet
  sengu get                    what runs where: services × environments
  sengu why checkout -e prod   why this is not as Git says, and what to do
  sengu release list           the changes on their way, and what each waits for
  sengu diff                   what your working tree would change in each cluster

Verbs find the plane that holds Sengu's objects by --kubeconfig, then $KUBECONFIG,
then .sengu/dev/kubeconfig here or in a folder above, then ~/.kube/config.`

// root lists every verb of the program.
func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:                        "sengu",
		Short:                      "Deliver what Git says to every cluster, in order, and say why when it is not there yet",
		Long:                       rootLong,
		Args:                       p.noVerb,
		RunE:                       func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors:              true,
		SilenceUsage:               true,
		PersistentPreRunE:          p.checkGlobal,
		CompletionOptions:          cobra.CompletionOptions{DisableDefaultCmd: true},
		SuggestionsMinimumDistance: 2,
	}
	root.SetIn(p.in)
	root.SetOut(p.out)
	root.SetErr(p.err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })

	flags := root.PersistentFlags()
	flags.StringVar(&p.kubeconfig, "kubeconfig", "", "kubeconfig of the plane that holds Sengu's objects")
	flags.StringVar(&p.kubeContext, "context", "", "context of the kubeconfig; its current one by default")
	flags.StringVarP(&p.namespace, "namespace", "n", defaultNamespace, "namespace of Sengu's objects")
	flags.StringVar(&p.color, "color", "auto", "colour: auto (on a terminal, unless $NO_COLOR is set), always or never")
	complete(root, "color", "auto", "always", "never")

	root.AddGroup(
		&cobra.Group{ID: groupSee, Title: "See:"},
		&cobra.Group{ID: groupAct, Title: "Act:"},
		&cobra.Group{ID: groupRun, Title: "Run Sengu:"},
	)
	root.SetHelpCommandGroupID(groupRun)
	root.SetGlobalNormalizationFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "env" { // as many other tools call it
			name = "environment"
		}
		return pflag.NormalizedName(name)
	})
	root.AddCommand(
		p.getCommand(),
		p.whyCommand(),
		p.treeCommand(),
		p.releaseCommand(),
		p.restoreCommand(),
		p.pinCommand(),
		p.unpinCommand(),
		p.insightsCommand(),
		p.syncCommand(),
		p.confirmCommand(),
		p.adoptCommand(),
		p.diffCommand(),
		p.renderCommand(),
		p.upCommand(),
		p.downCommand(),
		p.serverCommand(),
		p.workerCommand(),
		p.schemaCommand(),
		p.versionCommand(),
		p.completionCommand(),
	)
	return root
}

// The groups in which the help lists the verbs.
const (
	groupSee = "see"
	groupAct = "act"
	groupRun = "run"
)

// noVerb refuses a word that is not a verb, with the verbs that look like it.
func (p *program) noVerb(cmd *cobra.Command, a []string) error {
	if len(a) == 0 {
		return nil
	}
	err := fmt.Errorf("%q is not a verb of sengu", a[0])
	if near := cmd.SuggestionsFor(a[0]); len(near) > 0 {
		err = fmt.Errorf("%q is not a verb of sengu: did you mean %s", a[0], either(near))
	}
	return usageError{err}
}

func (p *program) checkGlobal(*cobra.Command, []string) error {
	switch p.color {
	case "auto", "always", "never":
		return nil
	}
	return usageError{fmt.Errorf("--color is %q: it must be auto, always or never", p.color)}
}

// complete offers words as the values of a flag.
func complete(cmd *cobra.Command, flag string, words ...string) {
	must(cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)))
}

// must stops the program on a mistake of its own that any test shows: a flag that does not exist.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
