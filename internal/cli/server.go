package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/sengu-dev/sengu/internal/cli/local"
	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/server"
)

const serverExample = `  # in a cluster, as its Deployment runs it: the cluster's own API, two replicas of which one works
  sengu server --data-dir /data --leader-elect

  # on a laptop, for the plane of a kubeconfig
  sengu server --kubeconfig ~/.kube/config --listen 127.0.0.1:8080 --metrics-listen 0

  # with clusters whose kubeconfigs ask the AWS CLI for a token
  sengu server --allow-exec aws`

// serverOptions are the flags of `server` beside those of server.Options itself.
type serverOptions struct {
	server.Options
	logFormat string
	logLevel  string
}

// serverCommand is `sengu server`.
func (p *program) serverCommand() *cobra.Command {
	var o serverOptions
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Run Sengu: the process that delivers",
		Long: `Runs the controllers until it is told to stop by SIGTERM or Ctrl-C. It serves the Fleets,
Apps and Clusters in its --namespace of the plane that --kubeconfig leads to; without
that, of the cluster that it runs in.

It listens on --listen for POST /webhooks/FLEET from a Git server and POST /slack/interactions
from Slack, each signed with a secret that a Fleet names, and for /healthz and /readyz; and on
--metrics-listen for /metrics.
What is in --data-dir can be made again but the history, which is a file in it unless
--database names a database of its own.`,
		Example: serverExample,
		GroupID: groupRun,
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.server(cmd.Context(), o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.DataDir, "data-dir", "", "folder for mirrors of repositories and rendered results; sengu in the user's cache folder by default")
	flags.StringVar(&o.Database, "database", "", "the history: a path, or postgres://user:password@host/database; history.db in --data-dir by default ($SENGU_DATABASE)")
	flags.DurationVar(&o.Retention, "retention", 400*24*time.Hour, "how long the history is kept")
	flags.StringVar(&o.Listen, "listen", ":8080", "address of webhooks, /healthz and /readyz")
	flags.StringVar(&o.MetricsListen, "metrics-listen", ":8081", "address of /metrics; 0 for none")
	flags.StringSliceVar(&o.AllowedExec, kube.ExecFlag[len("--"):], nil, "commands that the kubeconfig of a Cluster may run for credentials, such as aws")
	flags.StringSliceVar(&o.AllowedProbes, "allow-probe", nil, "addresses that checks and webhooks may lead to although they are loopback, link-local, multicast, reserved or of a cloud's metadata")
	flags.BoolVar(&o.AllowFileRemotes, "allow-file-remotes", false, "let Fleets read repositories of this machine by file:// URLs")
	flags.BoolVar(&o.LeaderElect, "leader-elect", false, "work only while it holds the Lease, so that a second one can stand by")
	flags.IntVar(&o.Workers, "workers", 0, "apps that are worked on at once; 0 for a number that keeps the API servers busy")
	flags.StringVar(&o.logFormat, "log-format", "text", "text or json")
	flags.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error")
	complete(cmd, "log-format", "text", "json")
	complete(cmd, "log-level", "debug", "info", "warn", "error")
	return cmd
}

func (p *program) server(ctx context.Context, o serverOptions) error {
	logger, err := p.logger(o.logFormat, o.logLevel)
	if err != nil {
		return err
	}
	if o.DataDir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return fmt.Errorf("name a folder with --data-dir: %w", err)
		}
		o.DataDir = filepath.Join(cache, "sengu")
	}
	if o.Database == "" {
		o.Database = p.env("SENGU_DATABASE") // a password belongs into no list of processes
	}
	o.Kubeconfig, o.Namespace, o.Version, o.Logger = p.kubeconfig, p.namespace, versionOf().String(), logger
	server.BridgeLogs(logger)
	return server.Run(ctx, o.Options)
}

// logger writes to the standard error.
func (p *program) logger(format, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, usageError{fmt.Errorf("--log-level is %q: it must be debug, info, warn or error", level)}
	}
	options := &slog.HandlerOptions{Level: l}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(p.err, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(p.err, options)), nil
	}
	return nil, usageError{fmt.Errorf("--log-format is %q: it must be text or json", format)}
}

// serveLocal runs the server of a local plane.
func serveLocal(ctx context.Context, o local.ServeOptions) error {
	server.BridgeLogs(o.Logger)
	return server.Run(ctx, server.Options{
		Kubeconfig: o.Kubeconfig, Namespace: o.Namespace, DataDir: o.DataDir, Listen: o.Listen, MetricsListen: "0",
		Version: versionOf().String(), Logger: o.Logger,
	})
}
