//go:build !race

package plane

import (
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"log/slog"
	"os"
	"runtime/debug"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/sys/unix"
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

// redirectStderr sends what is written to the process's standard error to the
// log at path: some components write there directly, past all loggers. It
// returns the true standard error, for the words of localplane itself, and for
// the Go runtime's when it crashes, and a function that puts it back.
func redirectStderr(path string) (*os.File, func() error, error) {
	const stderr = 2
	fd, err := unix.FcntlInt(stderr, unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("keep standard error: %w", err)
	}
	original := os.NewFile(uintptr(fd), "stderr")
	restore := func() error {
		return errors.Join(unix.Dup2(fd, stderr), original.Close())
	}
	log, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0) //nolint:gosec // the log of this home
	if err != nil {
		return nil, nil, fmt.Errorf("send standard error to the log: %w", errors.Join(err, restore()))
	}
	err = errors.Join(unix.Dup2(int(log.Fd()), stderr), log.Close(),
		debug.SetCrashOutput(original, debug.CrashOptions{}))
	if err != nil {
		return nil, nil, fmt.Errorf("send standard error to the log: %w", errors.Join(err, restore()))
	}
	return original, restore, nil
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
		_, _ = fmt.Fprintf(errOut, "localplane: a component gave up; the reason is at the end of %s\n", h.LogFile())
		if err := h.RemoveKubeconfig(); err != nil {
			_, _ = fmt.Fprintln(errOut, "localplane:", err)
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
