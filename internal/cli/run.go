package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// Exit codes of the program.
const (
	exitOK      = 0
	exitError   = 1
	exitChanges = 2
)

// program is what every verb stands on: the streams, the environment, the flags that all verbs share, and the time.
type program struct {
	in       io.Reader
	out, err io.Writer
	env      func(string) string
	now      func() time.Time

	kubeconfig  string
	kubeContext string
	namespace   string
	color       string
}

// Run executes the program with args, which do not include its name, and returns its exit code: 0 when it did what it
// was asked, 1 when it could not, and 2 when `diff` found changes. Env reads the environment, as os.Getenv does.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, env func(string) string) int {
	p := &program{in: stdin, out: stdout, err: stderr, env: env, now: time.Now}
	root := p.root() //nolint:contextcheck // a verb gets its context from cobra, when it runs
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	return p.exit(cmd, err)
}

// status is an error that carries the exit code and has been told already.
type status int

func (s status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// usageError is a mistake in how a verb was called. Its way out is the help of the verb.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func (p *program) exit(cmd *cobra.Command, err error) int {
	var told status
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &told):
		return int(told)
	case errors.Is(err, context.Canceled):
		return exitError
	case errors.As(err, &usage):
		p.notef("sengu: %s; see '%s --help'\n", sentence(err), cmd.CommandPath())
	default:
		p.notef("sengu: %s\n", sentence(err))
	}
	return exitError
}

// sentence makes one line of an error.
func sentence(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}

// printf writes a result. A standard output that is gone shows at the exit of the shell's pipe; there is nobody to
// tell here.
func (p *program) printf(format string, args ...any) { _, _ = fmt.Fprintf(p.out, format, args...) }

// notef writes progress, a note or an error.
func (p *program) notef(format string, args ...any) { _, _ = fmt.Fprintf(p.err, format, args...) }

// args makes a cobra check of positional arguments into a usage error.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, a []string) error {
		if err := check(cmd, a); err != nil {
			return usageError{err}
		}
		return nil
	}
}

// exactly asks for the arguments that words names, in these words.
func exactly(words ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, a []string) error {
		switch {
		case len(a) < len(words):
			return usageError{fmt.Errorf("%s is missing", words[len(a)])}
		case len(a) > len(words):
			return usageError{fmt.Errorf("%q is one argument too many", a[len(words)])}
		}
		return nil
	}
}
