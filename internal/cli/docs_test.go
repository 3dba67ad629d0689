package cli

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "write docs/cli.md")

// docsHead opens the page. What follows it is what the verbs themselves say.
const docsHead = `# The sengu program

This page is what ` + "`sengu VERB --help`" + ` says, written by ` + "`go test ./internal/cli -run TestDocs -update`" + `.

## What holds for every verb

- **Which plane.** ` + "`--kubeconfig`" + `, else ` + "`$KUBECONFIG`" + `, else ` + "`.sengu/dev/kubeconfig`" + ` in the working directory or a folder
  above it, else ` + "`~/.kube/config`" + `. Sengu's objects are in namespace ` + "`sengu`" + ` unless ` + "`-n`" + ` says otherwise.
- **Which app.** APP is a service with ` + "`-e ENVIRONMENT`" + `, ` + "`SERVICE/ENVIRONMENT`" + `, or the name of an App. A name that does not
  exist is answered with the nearest one that does.
- **Output.** Results go to the standard output, progress, notes and errors to the standard error. Colour and lines that
  change in place are for terminals; ` + "`NO_COLOR`" + ` and ` + "`--color never`" + ` turn colour off.
- **Exit codes.** 0 for done, 1 for an error, which is one sentence; ` + "`sengu diff`" + ` returns 2 when something would change.
- **Secrets.** No verb prints a value of a Secret, except ` + "`sengu render`" + `, which prints what is in your files.
- **Rights.** The verbs act with your kubeconfig. ` + "`tree`, `diff` and `adopt`" + ` also read the Secrets with the kubeconfigs of the
  clusters, which takes a Role that allows it. Where such a kubeconfig runs a command for its credentials, allow it with
  ` + "`--allow-exec`" + `.

`

// TestDocs checks that docs/cli.md says what the verbs say, and that each of them teaches.
func TestDocs(t *testing.T) {
	root := (&program{env: func(string) string { return "" }}).root()
	var b strings.Builder
	b.WriteString(docsHead)
	for _, group := range root.Groups() {
		fmt.Fprintf(&b, "## %s\n\n", strings.TrimSuffix(group.Title, ":"))
		for _, cmd := range root.Commands() {
			if cmd.GroupID != group.ID || cmd.Hidden || cmd.Name() == "help" {
				continue
			}
			b.WriteString(page(t, cmd))
			for _, below := range cmd.Commands() {
				b.WriteString(page(t, below))
			}
		}
	}
	b.WriteString("## Flags of every verb\n\n" + flagList(root.PersistentFlags()))
	path := filepath.Join("..", "..", "docs", "cli.md")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b.String(), string(got)); diff != "" {
		t.Errorf("docs/cli.md is stale: run `go test ./internal/cli -run TestDocs -update`\n%s", diff)
	}
}

// page is the section of one verb.
func page(t *testing.T, cmd *cobra.Command) string {
	t.Helper()
	if cmd.Example == "" {
		t.Errorf("%s has no example", cmd.CommandPath())
	}
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n", cmd.CommandPath())
	use := strings.TrimSuffix(cmd.UseLine(), " [flags]")
	if cmd.HasSubCommands() {
		use += " VERB"
	}
	fmt.Fprintf(&b, "`%s`\n\n", use)
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	fmt.Fprintf(&b, "%s\n\n", text)
	fmt.Fprintf(&b, "```sh\n%s\n```\n\n", unindent(cmd.Example))
	if cmd.LocalNonPersistentFlags().HasAvailableFlags() {
		b.WriteString(flagList(cmd.LocalNonPersistentFlags()))
		b.WriteByte('\n')
	}
	return b.String()
}

func unindent(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimPrefix(l, "  ")
	}
	return strings.Join(lines, "\n")
}

func flagList(flags *pflag.FlagSet) string {
	var b strings.Builder
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		fmt.Fprintf(&b, "- `%s` %s", name, f.Usage)
		if f.DefValue != "" && f.DefValue != "[]" && f.DefValue != "false" && f.DefValue != "0" {
			fmt.Fprintf(&b, " (default `%s`)", f.DefValue)
		}
		b.WriteByte('\n')
	})
	return b.String()
}
