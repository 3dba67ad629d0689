package kube_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m, testenv.Options{}) }

// connect connects to the package's control plane, and ends the connection before leaks are looked for.
func connect(t testing.TB) (*kube.Conn, *testenv.Cluster) {
	t.Helper()
	plane := testenv.Plane(t)
	return connectTo(t, plane), plane
}

func connectTo(t testing.TB, plane *testenv.Cluster) *kube.Conn {
	t.Helper()
	conn, err := kube.Connect(plane.Config, kube.Options{Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// noLeaks fails the test if it leaves goroutines behind that it has started.
func noLeaks(t *testing.T) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
}
