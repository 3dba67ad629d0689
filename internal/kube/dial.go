package kube

import (
	"context"
	"net"
	"sync"
)

// dialFunc opens a network connection.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// lines keeps the open network connections of one Conn, so that all of them can be closed: an HTTP client by itself
// only closes those that are idle, and one whose watch has just been ended is not idle yet.
type lines struct {
	dial   dialFunc
	mu     sync.Mutex
	open   map[*line]struct{}
	closed bool
}

// line is one network connection.
type line struct {
	net.Conn
	all *lines
}

func newLines(dial dialFunc) *lines { return &lines{dial: dial, open: map[*line]struct{}{}} }

// connect opens a connection and keeps it.
func (l *lines) connect(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := l.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	kept := &line{conn, l}
	l.open[kept] = struct{}{}
	return kept, nil
}

// Close closes one connection.
func (c *line) Close() error {
	c.all.mu.Lock()
	delete(c.all.open, c)
	c.all.mu.Unlock()
	return c.Conn.Close()
}

// close closes every connection, and those that are opened later.
func (l *lines) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for c := range l.open {
		_ = c.Conn.Close()
	}
	clear(l.open)
}
