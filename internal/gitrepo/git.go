package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// maxStderr bounds what is kept of git's complaints, maxStdout what a short answer may have, in bytes.
const (
	maxStderr = 16 << 10
	maxStdout = 4 << 20
)

// run is one start of the git program.
type run struct {
	dir    string
	args   []string
	config [][2]string // beside the base configuration
	env    []string
	stdin  io.Reader
	redact redactor
}

// gitError is a git that failed; its text holds no credential.
type gitError struct {
	verb   string
	stderr string
	err    error
}

func (e *gitError) Error() string {
	if line := lastLines(e.stderr); line != "" {
		return fmt.Sprintf("git %s: %v: %s", e.verb, e.err, line)
	}
	return fmt.Sprintf("git %s: %v", e.verb, e.err)
}

func (e *gitError) Unwrap() error { return e.err }

// lastLines joins what git said to one line of at most 400 bytes, without its progress.
func lastLines(stderr string) string {
	var lines []string
	for line := range strings.Lines(stderr) {
		line = strings.TrimSpace(line)
		for _, p := range []string{"fatal: ", "error: ", "remote: "} {
			line = strings.TrimPrefix(line, p)
		}
		if line != "" && line != "remote:" && !strings.HasPrefix(line, "@@@") && !strings.HasPrefix(line, "hint:") {
			lines = append(lines, strings.Trim(line, "@ "))
		}
	}
	text := strings.Join(lines, "; ")
	if len(text) > 400 {
		text = strings.ToValidUTF8(text[:400], "") + " …"
	}
	return text
}

// baseConfig is the whole configuration that git has, beside the file that made the mirror.
var baseConfig = [][2]string{
	{"safe.directory", "*"}, {"core.hooksPath", os.DevNull}, {"core.askPass", ""}, {"credential.helper", ""},
	{"gc.auto", "0"}, {"maintenance.auto", "false"}, {"protocol.version", "2"}, {"protocol.allow", "never"},
	{"submodule.recurse", "false"}, {"fetch.recurseSubmodules", "false"}, {"core.fsmonitor", "false"},
	{"transfer.fsckObjects", "true"}, {"pack.threads", "1"}, {"pack.windowMemory", "64m"},
	{"http.followRedirects", "false"}, {"http.lowSpeedLimit", "1000"}, {"http.lowSpeedTime", "30"},
	// Memory of one process: bases of deltas, and how much of packs is mapped at a time.
	{"core.bigFileThreshold", "16m"}, {"core.deltaBaseCacheLimit", "8m"}, {"core.packedGitWindowSize", "4m"}, {"core.packedGitLimit", "64m"},
}

// harmless are findings of fsck in old but sound repositories; the objects are used as they are.
var harmless = []string{
	"zeroPaddedFilemode", "missingSpaceBeforeDate", "badTimezone", "missingEmail", "missingNameBeforeEmail",
	"badEmail", "badName", "missingSpaceBeforeEmail", "badDate", "zeroPaddedDate", "nullSha1", "badTagName", "missingTaggerEntry",
}

func (s *Store) environment(r run) []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "XDG_CONFIG_HOME=/nonexistent", "LC_ALL=C", "LANGUAGE=C",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_ATTR_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_ASKPASS=", "SSH_ASKPASS=", "GIT_NO_REPLACE_OBJECTS=1", "GIT_OPTIONAL_LOCKS=0", "GIT_FLUSH=1",
	}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy", "TMPDIR"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	n := 0
	set := func(k, v string) {
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", n, k), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", n, v))
		n++
	}
	for _, kv := range baseConfig {
		set(kv[0], kv[1])
	}
	for _, id := range harmless {
		set("fetch.fsck."+id, "ignore")
	}
	for _, kv := range r.config {
		set(kv[0], kv[1])
	}
	env = append(env, "GIT_CONFIG_COUNT="+strconv.Itoa(n))
	return append(env, r.env...)
}

// command prepares a git that dies, with everything that it has started, when ctx ends.
func (s *Store) command(ctx context.Context, r run) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.gitPath, r.args...) //nolint:gosec // to run git is what this is for; what comes from outside is checked, or after "--"
	cmd.Dir = r.dir
	cmd.Env = s.environment(r)
	cmd.Stdin = r.stdin
	cmd.SysProcAttr = processAttributes()
	cmd.Cancel = func() error { return killGroup(cmd.Process.Pid) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// git runs a short command and returns what it printed.
func (s *Store) git(ctx context.Context, r run) ([]byte, error) {
	cmd := s.command(ctx, r)
	stdout, stderr := &bounded{limit: maxStdout, strict: true}, &bounded{limit: maxStderr}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	err := cmd.Start()
	if err == nil {
		limitFiles(cmd.Process.Pid, s.opts.MaxPack)
		err = cmd.Wait()
	}
	if err == nil {
		return stdout.buf.Bytes(), nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return stdout.buf.Bytes(), &gitError{verb: r.args[0], stderr: r.redact.clean(stderr.buf.String()), err: err}
}

// exitCode is git's exit code, or -1.
func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return -1
}

// bounded keeps the first bytes written to it; strict, it fails at more.
type bounded struct {
	buf    bytes.Buffer
	limit  int
	strict bool
}

func (b *bounded) Write(p []byte) (int, error) {
	room := b.limit - b.buf.Len()
	if len(p) <= room {
		return b.buf.Write(p)
	}
	if b.strict {
		return 0, fmt.Errorf("git printed more than %d bytes", b.limit)
	}
	b.buf.Write(p[:max(room, 0)])
	return len(p), nil
}

// killGroup ends a process and everything it has started.
func killGroup(pid int) error {
	if err := syscall.Kill(-pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}
