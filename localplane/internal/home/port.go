package home

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Listen opens the port of the API on 127.0.0.1. A wanted port other than 0
// must be free. Otherwise the port of the last run is taken if it is free, and
// any free one if it is not. The port is remembered for the next run. Because
// it is opened here and handed on, no other process can slip in between.
func (h *Home) Listen(ctx context.Context, wanted int) (net.Listener, error) {
	l, err := listen(ctx, candidates(wanted, h.lastPort()))
	if err != nil {
		return nil, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := writeFile(h.Path("port"), []byte(strconv.Itoa(port)+"\n")); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// candidates lists the ports to try, best first; 0 is any free one.
func candidates(wanted, last int) []int {
	switch {
	case wanted != 0:
		return []int{wanted}
	case last != 0:
		return []int{last, 0}
	default:
		return []int{0}
	}
}

// listen opens the first of ports that can be opened.
func listen(ctx context.Context, ports []int) (net.Listener, error) {
	var errs []error
	for _, port := range ports {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		switch {
		case err == nil:
			return l, nil
		case errors.Is(err, syscall.EADDRINUSE):
			errs = append(errs, fmt.Errorf("port %d of 127.0.0.1 is in use; choose another --port, or leave it out", port))
		default:
			errs = append(errs, fmt.Errorf("open port %d of 127.0.0.1: %w", port, err))
		}
	}
	return nil, errors.Join(errs...)
}

// lastPort is the port of the last run, or 0 when there was none or it cannot
// be read; it is a preference, so that is no error.
func (h *Home) lastPort() int {
	b, err := os.ReadFile(h.Path("port"))
	if err != nil {
		return 0
	}
	port, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || port < 1 || port > 65535 {
		return 0
	}
	return port
}
