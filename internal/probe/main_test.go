package probe_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/sengu-dev/sengu/internal/probe"
	"github.com/sengu-dev/sengu/internal/testenv"
)

func TestMain(m *testing.M) {
	if os.Getenv("HTTP_PROXY") == "" {
		// No look goes through a proxy that the environment names. It is read once, so it must be set before.
		_ = os.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
		_ = os.Setenv("http_proxy", "http://127.0.0.1:1")
	}
	testenv.Main(m, testenv.Options{})
}

// site is a real HTTP server on loopback that counts who asks.
type site struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request
	// dials counts connections, also of those who ask nothing.
	dials atomic.Int32
}

func newSite(t *testing.T, handler http.HandlerFunc, start ...func(*httptest.Server)) *site {
	t.Helper()
	s := &site{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, r)
		s.mu.Unlock()
		handler(w, r)
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.dials.Add(1)
		}
	}
	s.Config.ErrorLog = quiet
	if len(start) == 0 {
		s.Start()
	}
	for _, f := range start {
		f(s.Server)
	}
	t.Cleanup(s.Close)
	return s
}

func (s *site) asked() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// newClient returns a Client that may look at what is on this machine only where allow says so.
func newClient(t *testing.T, change func(*probe.Options), allow ...string) *probe.Client {
	t.Helper()
	o := probe.Options{Version: "test", Allow: allow}
	if change != nil {
		change(&o)
	}
	c, err := probe.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// checkLeaks wants that nothing goes on when everything else of the test is at rest.
func checkLeaks(t *testing.T) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, body)
	}
}

// resolver is a DNS server on loopback that answers every name with what the test says. It returns a resolver that
// asks nobody else.
func resolver(t *testing.T, answers func(query int32) []netip.Addr) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var queries atomic.Int32
	var serving sync.WaitGroup
	serving.Go(func() {
		buffer := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				_, _ = conn.WriteTo(reply(buffer[:n], answers, &queries), from)
			}
		}
	})
	t.Cleanup(func() {
		_ = conn.Close()
		serving.Wait()
	})
	var d net.Dialer
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return d.DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// reply writes the answer to a query of one name: RFC 1035, section 4.
func reply(query []byte, answers func(int32) []netip.Addr, queries *atomic.Int32) []byte {
	const header, a, aaaa = 12, 1, 28
	end := header
	for end < len(query) && query[end] != 0 {
		end += int(query[end]) + 1
	}
	end += 5 // the last label, type and class
	if end > len(query) {
		return nil
	}
	kind := binary.BigEndian.Uint16(query[end-4:])
	out := append([]byte(nil), query[:end]...)
	out[2], out[3] = 0x81, 0x80 // an answer, without an error
	count := 0
	if kind == a {
		queries.Add(1)
	}
	for _, address := range answers(queries.Load()) {
		if (kind == a) != address.Is4() || (kind != a && kind != aaaa) {
			continue
		}
		count++
		data := address.AsSlice()
		out = append(out, 0xc0, header, byte(kind>>8), byte(kind), 0, 1, 0, 0, 0, 0, 0, byte(len(data)))
		out = append(out, data...)
	}
	binary.BigEndian.PutUint16(out[6:], uint16(count))
	binary.BigEndian.PutUint32(out[8:], 0)
	return out
}
