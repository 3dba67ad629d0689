//go:build !race

package plane

import (
	"context"
	"flag"
	"fmt"
	"io"
	stdlog "log"
	"log/slog"
	"os"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/sengu-dev/sengu/localplane/internal/home"
)

// redirectLogs sends what the components log to w. They log through globals,
// so this is for the whole process. A component that gives up ends the process
// by klog; then errOut gets a sentence. The function that is returned writes
// what is still buffered.
func redirectLogs(ctx context.Context, w io.Writer, path string, errOut io.Writer) func() {
	fs := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(fs)
	for name, value := range map[string]string{
		"logtostderr": "false", "alsologtostderr": "false", "stderrthreshold": "FATAL", "one_output": "true",
	} {
		if err := fs.Set(name, value); err != nil {
			fmt.Fprintf(errOut, "localplane: set log flag %s: %v\n", name, err)
		}
	}
	klog.SetOutput(w)
	stdlog.SetOutput(w)
	slog.SetDefault(slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn})))
	// The components speak to their own API server; its advice to clients
	// would only fill the log.
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	klog.OsExit = func(int) {
		if ctx.Err() != nil {
			os.Exit(0) // a start that was interrupted is no failure
		}
		fmt.Fprintf(errOut, "localplane: a component gave up; the reason is at the end of %s\n", path)
		os.Exit(1)
	}
	return klog.Flush
}

// zapLogger is the log in the form that etcd wants, warnings and worse only.
func zapLogger(log *home.Log) *zap.Logger {
	cfg := zap.NewProductionEncoderConfig()
	cfg.EncodeTime = zapcore.ISO8601TimeEncoder
	return zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(cfg), zapcore.AddSync(log), zapcore.WarnLevel))
}
