package home

import (
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestCandidates(t *testing.T) {
	cases := map[string]struct {
		wanted, last int
		want         []int
	}{
		"FirstRun":     {want: []int{0}},
		"LaterRun":     {last: 40000, want: []int{40000, 0}},
		"Wanted":       {wanted: 6443, want: []int{6443}},
		"WantedBefore": {wanted: 6443, last: 40000, want: []int{6443}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := candidates(tc.wanted, tc.last); !slices.Equal(got, tc.want) {
				t.Errorf("candidates(%d, %d): got %v, want %v", tc.wanted, tc.last, got, tc.want)
			}
		})
	}
}

func TestLastPort(t *testing.T) {
	cases := map[string]struct {
		file string
		want int
	}{
		"Plain":    {file: "40000\n", want: 40000},
		"Empty":    {file: ""},
		"Text":     {file: "https"},
		"Negative": {file: "-1"},
		"TooLarge": {file: "65536"},
	}
	h := openHome(t)
	if got := h.lastPort(); got != 0 {
		t.Errorf("lastPort without a file: got %d, want 0", got)
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(h.Path("port"), []byte(tc.file), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := h.lastPort(); got != tc.want {
				t.Errorf("lastPort of %q: got %d, want %d", tc.file, got, tc.want)
			}
		})
	}
}

func TestListenKeepsThePort(t *testing.T) {
	h := openHome(t)
	first := mustListen(t, h)
	port := portOf(first)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := mustListen(t, h)
	if got := portOf(second); got != port {
		t.Errorf("Listen again: got port %d, want %d", got, port)
	}
	// The port is taken now, as by a stranger.
	third := mustListen(t, h)
	if got := portOf(third); got == port {
		t.Errorf("Listen while port %d is taken: got the same", port)
	}
	if got := h.lastPort(); got != portOf(third) {
		t.Errorf("port that is remembered: got %d, want the newest, %d", got, portOf(third))
	}
	_, err := h.Listen(t.Context(), port)
	if err == nil || !strings.Contains(err.Error(), strconv.Itoa(port)) {
		t.Errorf("Listen on the taken port %d: got %v, want an error that names it", port, err)
	}
}

// mustListen listens on a port of h's choice until the test ends.
func mustListen(t *testing.T, h *Home) net.Listener {
	t.Helper()
	l, err := h.Listen(t.Context(), 0)
	if err != nil {
		t.Fatalf("Listen: %v", err)
	}
	t.Cleanup(func() { _ = l.Close() }) // some are closed before
	return l
}

// portOf is the port on which l listens.
func portOf(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }
