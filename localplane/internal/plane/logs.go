//go:build !race

package plane

import (
	"fmt"
	"io"
	stdlog "log"
	"log/slog"
	"os"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"

	"github.com/sengu-dev/sengu/localplane/internal/home"
)

// redirectLogs sends what the components log to w. They log through globals,
// so this is for the whole process.
func redirectLogs(w io.Writer) {
	klog.SetLoggerWithOptions(textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(w))),
		klog.ContextualLogger(true))
	stdlog.SetOutput(w)
	slog.SetDefault(slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn})))
	// The components speak to their own API server; its advice to clients
	// would only fill the log.
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
}

// onFatal decides what happens when a component gives up the whole process,
// which it does through klog. While components are told to stop that is how
// some of them take it, and no reason to skip the order of the stop: the
// goroutine that wants the end is parked, and the end comes by itself.
// Otherwise the process ends, with a sentence to errOut.
func onFatal(stopping func() bool, h *home.Home, errOut io.Writer) {
	klog.OsExit = func(int) {
		if stopping() {
			select {}
		}
		fmt.Fprintf(errOut, "localplane: a component gave up; the reason is at the end of %s\n", h.LogFile())
		if err := h.RemoveKubeconfig(); err != nil {
			fmt.Fprintln(errOut, "localplane:", err)
		}
		os.Exit(1)
	}
}

// zapLogger is the log in the form that etcd wants, warnings and worse only.
func zapLogger(log *home.Log) *zap.Logger {
	cfg := zap.NewProductionEncoderConfig()
	cfg.EncodeTime = zapcore.ISO8601TimeEncoder
	return zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(cfg), zapcore.AddSync(log), zapcore.WarnLevel))
}
