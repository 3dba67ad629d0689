package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Phase says how far a local plane has come.
type Phase string

// The phases, in order.
const (
	Starting Phase = "starting"
	Running  Phase = "running"
	Stopping Phase = "stopping"
	Stopped  Phase = "stopped"
	Failed   Phase = "failed"
)

// State is what one `sengu up` tells the others, in state.json.
type State struct {
	// Phase says how far it has come, and Error why it failed.
	Phase Phase  `json:"phase"`
	Error string `json:"error,omitempty"`
	// PID is the process that holds everything together.
	PID     int       `json:"pid,omitempty"`
	Started time.Time `json:"started,omitzero"`
	// Progress is what has been done so far, a line each.
	Progress []string `json:"progress,omitempty"`
	// Repository is the folder that the Git repository was made from.
	Repository string `json:"repository,omitempty"`
	// Git is the address of the Git server, and CloneURL that of the repository. Both outlive a restart if they can.
	Git      string `json:"git,omitempty"`
	CloneURL string `json:"cloneURL,omitempty"`
	// Server is the address of Sengu's webhooks and probes.
	Server string `json:"server,omitempty"`
	// Fleets are the names of the fleets that were applied.
	Fleets []string `json:"fleets,omitempty"`
	// Planes are the control planes. The first holds Sengu's objects.
	Planes []Plane `json:"planes,omitempty"`
}

// Plane is one control plane.
type Plane struct {
	Name       string `json:"name"`
	Kubeconfig string `json:"kubeconfig"`
}

// Dir is the folder that holds everything of a local plane.
type Dir string

// Abs returns the folder as an absolute path.
func Abs(dir string) (Dir, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find folder %s: %w", dir, err)
	}
	return Dir(abs), nil
}

func (d Dir) path(elem ...string) string {
	return filepath.Join(append([]string{string(d)}, elem...)...)
}

// Log is the file with the log of everything but the control planes, which have their own.
func (d Dir) Log() string { return d.path("up.log") }

// Kubeconfig is the file that leads to the control plane of that name.
func (d Dir) Kubeconfig(plane string) string { return d.path(plane, "kubeconfig") }

func (d Dir) stateFile() string { return d.path("state.json") }
func (d Dir) lockFile() string  { return d.path("lock") }
func (d Dir) pidFile() string   { return d.path("up.pid") }
func (d Dir) gitDir() string    { return d.path("git") }
func (d Dir) dataDir() string   { return d.path("data") }

// Read returns the state in d. It is empty if there never was one.
func (d Dir) Read() (State, error) {
	data, err := os.ReadFile(d.stateFile())
	if errors.Is(err, os.ErrNotExist) {
		return State{}, nil
	}
	if err != nil {
		return State{}, fmt.Errorf("read the state of the local plane: %w", err)
	}
	var s State
	if err := json.Unmarshal(data, &s); err != nil {
		return State{}, fmt.Errorf("read %s: %w; delete it if it was edited", d.stateFile(), err)
	}
	return s, nil
}

// write replaces the state in d in one step, so that nobody reads half of one.
func (d Dir) write(s State) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("write the state of the local plane: %w", err)
	}
	return replaceFile(d.stateFile(), append(data, '\n'))
}

func replaceFile(path string, data []byte) error {
	temporary := path + ".new"
	if err := os.WriteFile(temporary, data, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// Tail returns the last n lines of a log.
func Tail(path string, n int) []string {
	const most = 64 << 10   // bytes
	f, err := os.Open(path) //nolint:gosec // within our own folder
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil
	}
	data := make([]byte, min(info.Size(), most))
	if _, err := f.ReadAt(data, info.Size()-int64(len(data))); err != nil {
		return nil
	}
	lines := splitLines(string(data))
	return slices.Clone(lines[max(0, len(lines)-n):])
}
