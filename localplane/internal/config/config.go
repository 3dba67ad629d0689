// Package config turns the command line of localplane into a Config. It is
// pure: it looks at no file, no port and no clock, and it refuses what cannot
// work with one sentence that says what to write instead.
package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// The limits of what a person may ask for.
const (
	// MaxNodes is the most simulated nodes that one process is asked to keep.
	// More than this is no longer a test machine's control plane.
	MaxNodes = 5000
	// DefaultTimeout is how long a start may take before it is given up. A
	// start takes a few seconds; a loaded machine may need ten times that.
	DefaultTimeout = 2 * time.Minute
)

// Action is what the command line asks for.
type Action int

// The actions, in the order in which they win over each other.
const (
	// Serve runs a control plane until it is told to stop.
	Serve Action = iota
	// Help prints the manual.
	Help
	// Version prints what the binary contains.
	Version
)

// Config is one complete, checked command line.
type Config struct {
	// Action says what to do; the other fields matter only for Serve.
	Action Action
	// Dir is the folder that holds everything this control plane keeps.
	Dir string
	// Nodes is how many simulated nodes there are once it is ready.
	Nodes int
	// Port is the TCP port of the API on 127.0.0.1; 0 leaves the choice to
	// localplane, which then prefers the port that Dir used last.
	Port int
	// Fsync makes etcd wait for the disk at every write.
	Fsync bool
	// StopOnEOF ends the control plane when standard input is closed.
	StopOnEOF bool
	// Timeout bounds the start.
	Timeout time.Duration
}

// Usage is the manual that --help prints.
const Usage = `localplane runs a real Kubernetes control plane in one process: etcd,
kube-apiserver, kube-controller-manager, kube-scheduler, and KWOK for nodes
whose Pods become Running and Ready, and whose Jobs complete, without running
anything. It needs no root, no container and no network.

  localplane --dir DIR [flags]

It prints one line when the API can be used, and stays until SIGTERM, SIGINT or
SIGHUP. To use it from another terminal:

  export KUBECONFIG=DIR/kubeconfig
  kubectl get nodes

Flags
  --dir DIR             folder for everything it keeps; made if absent. Start
                        it again on the same DIR and the cluster is still there,
                        with the same certificates, tokens and, if it is still
                        free, port.
  --nodes N             simulated nodes: node-1 to node-N (default 1). Started
                        again with fewer, the surplus is deleted. 0 leaves Pods
                        pending.
  --port PORT           port of the API on 127.0.0.1 (default: the one of last
                        time, else any free one)
  --fsync               wait for the disk at every write. Without it, which is
                        right for tests, a crash of localplane loses nothing,
                        but a crash of the machine may lose the cluster.
  --stop-on-stdin-eof   stop also when standard input is closed, so that a test
                        that dies takes its control plane with it
  --timeout DURATION    give up when it is not ready by then (default 2m)
  --version             print the versions inside and exit
  --help                print this and exit

What is in DIR
  kubeconfig            user admin, in group system:masters; there only while
                        the API can be used, so its presence means ready
  localplane.log        the log of all components; at most 2 x 16 MiB are kept
  etcd, pki, tokens.csv the state: delete DIR to begin anew

Simulated Pods
  A Pod with the annotation localplane.sengu.dev/hold is scheduled but never
  started: it stays Pending until the annotation is removed, or until you patch
  its status by hand. Use it to see what a rollout looks like that is stuck.

Exit codes: 0 stopped as asked, 1 it failed, 2 wrong flags.
`

// Parse reads the arguments that follow the name of the program. Its errors
// are sentences for a person and need no further context.
func Parse(args []string) (Config, error) {
	var c Config
	var help, version bool
	fs := flags(&c, &help, &version)
	if err := fs.Parse(args); err != nil {
		return Config{}, fmt.Errorf("%s; --help lists the flags", strings.TrimSuffix(err.Error(), "."))
	}
	switch {
	case help:
		return Config{Action: Help}, nil
	case version:
		return Config{Action: Version}, nil
	}
	if fs.NArg() > 0 {
		return Config{}, fmt.Errorf("localplane takes flags only, not %q; --help lists them", fs.Arg(0))
	}
	if err := c.check(); err != nil {
		return Config{}, err
	}
	return c, nil
}

// flags are the flags of the program, stored in what it is given. The manual
// has their meaning, so they have no usage of their own.
func flags(c *Config, help, version *bool) *pflag.FlagSet {
	fs := pflag.NewFlagSet("localplane", pflag.ContinueOnError)
	fs.Usage = func() {}
	fs.StringVar(&c.Dir, "dir", "", "")
	fs.IntVar(&c.Nodes, "nodes", 1, "")
	fs.IntVar(&c.Port, "port", 0, "")
	fs.BoolVar(&c.Fsync, "fsync", false, "")
	fs.BoolVar(&c.StopOnEOF, "stop-on-stdin-eof", false, "")
	fs.DurationVar(&c.Timeout, "timeout", DefaultTimeout, "")
	fs.BoolVar(version, "version", false, "")
	fs.BoolVarP(help, "help", "h", false, "")
	return fs
}

// check refuses values that cannot work, one at a time.
func (c Config) check() error {
	switch {
	case c.Dir == "":
		return errors.New("say where to keep the cluster, for example --dir ./plane")
	case c.Nodes < 0 || c.Nodes > MaxNodes:
		return fmt.Errorf("--nodes must be between 0 and %d, not %d", MaxNodes, c.Nodes)
	case c.Port < 0 || c.Port > 65535:
		return fmt.Errorf("--port must be between 1 and 65535, or 0 for any free one, not %d", c.Port)
	case c.Timeout <= 0:
		return fmt.Errorf("--timeout must be longer than nothing, not %s", c.Timeout)
	}
	return nil
}
