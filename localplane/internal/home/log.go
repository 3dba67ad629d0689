package home

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
)

// LogLimit is the size at which the log begins a new file and keeps one old
// one, in bytes.
const LogLimit = 16 << 20

// Log is a file that many goroutines append to and that never grows beyond a
// limit: when it is full it is renamed to end in .old, over the one before.
type Log struct {
	mu    sync.Mutex
	path  string
	limit int64
	size  int64
	file  *os.File
}

// LogFile is where the components of the control plane log.
func (h *Home) LogFile() string { return h.Path("localplane.log") }

// OpenLog opens the log for appending.
func OpenLog(path string, limit int64) (*Log, error) {
	l := &Log{path: path, limit: limit}
	if err := l.open(); err != nil {
		return nil, err
	}
	return l, nil
}

// open opens the file, which may exist.
func (l *Log) open() error {
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("open log: %w", errors.Join(err, f.Close()))
	}
	l.file, l.size = f, info.Size()
	return nil
}

// Write appends p whole. It is safe for concurrent use.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return 0, fs.ErrClosed
	}
	if l.size > 0 && l.size+int64(len(p)) > l.limit {
		if err := l.rotate(); err != nil {
			return 0, err
		}
	}
	n, err := l.file.Write(p)
	l.size += int64(n)
	return n, err
}

// rotate puts the full file aside and begins a new one.
func (l *Log) rotate() error {
	err := errors.Join(l.file.Close(), os.Rename(l.path, l.path+".old"))
	l.file = nil
	if err != nil {
		return fmt.Errorf("rotate log: %w", err)
	}
	return l.open()
}

// Close ends the log; later writes fail.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	f := l.file
	l.file = nil
	return f.Close()
}
