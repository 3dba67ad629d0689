package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitserver"
	"github.com/sengu-dev/sengu/internal/server"
)

const (
	// fleetName is the name of every test's one Fleet.
	fleetName = "shop"
	layout    = "apps/{service}/{environment}"
	// patience bounds what a test waits for, on a machine that has other things to do.
	patience = 2 * time.Minute
	// pollEvery is the pause between two looks.
	pollEvery = 40 * time.Millisecond
)

// sengu is one installation of Sengu: a namespace, a repository, a Fleet, two Clusters and one server process.
type sengu struct {
	testing.TB
	*world
	home *plane
	// namespace holds Sengu's objects, target is where the Apps go, in every cluster.
	namespace, target string
	repo              *repository
	data, address     string
	// own is the kubeconfig with which the server reaches its home, with the rights that the chart gives it.
	own string

	process *exec.Cmd
	log     *os.File
	ended   chan struct{}
	// clock, if there is one, is the time of the server, which then runs in this process: see newTimedSengu.
	clock *clocktesting.FakeClock
	leave context.CancelFunc
	// flags are more flags of the server.
	flags []string
}

// newSengu starts an installation whose objects live in the plane dev.
func newSengu(t testing.TB, edit ...func(*v1alpha1.FleetSpec)) *sengu {
	t.Helper()
	return newSenguAt(t, theWorld(t).dev, edit...)
}

// newSenguWith starts an installation whose server has more flags.
func newSenguWith(t testing.TB, flags []string, edit ...func(*v1alpha1.FleetSpec)) *sengu {
	t.Helper()
	s := prepareSengu(t, theWorld(t).dev, edit)
	s.flags = flags
	s.start()
	return s
}

// newTimedSengu starts an installation whose time is what the test says.
func newTimedSengu(t testing.TB, now time.Time, edit ...func(*v1alpha1.FleetSpec)) *sengu {
	t.Helper()
	s := prepareSengu(t, theWorld(t).dev, edit)
	s.clock = clocktesting.NewFakeClock(now)
	s.start()
	return s
}

// newSenguAt starts an installation on a plane, with a Fleet of the environments dev and prod, unless edit changes it.
func newSenguAt(t testing.TB, home *plane, edit ...func(*v1alpha1.FleetSpec)) *sengu {
	t.Helper()
	s := prepareSengu(t, home, edit)
	s.start()
	return s
}

// prepareSengu makes everything of an installation but its process.
func prepareSengu(t testing.TB, home *plane, edit []func(*v1alpha1.FleetSpec)) *sengu {
	t.Helper()
	w := theWorld(t)
	id := rand.String(8)
	s := &sengu{TB: t, world: w, home: home, namespace: "sengu-" + id, target: "apps-" + id, data: t.TempDir(), address: freeAddress(t)}
	gitToken, hookSecret := "git-token-"+rand.String(24), "hook-secret-"+rand.String(24)
	w.evidence.plant("the Git token", gitToken)
	w.evidence.plant("the secret of the webhook", hookSecret)
	s.repo = newRepository(t, gitToken)
	s.repo.hook = gitserver.Hook{URL: "http://" + s.address + "/webhooks/" + fleetName, BaseURL: s.repo.server.URL, Secret: []byte(hookSecret)}

	s.create(home, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}})
	t.Cleanup(s.cleanUp)
	s.create(home, s.secret("git", "token", []byte(gitToken)))
	s.create(home, s.secret("webhook", "secret", []byte(hookSecret)))
	for _, p := range []*plane{w.dev, w.prod} {
		s.create(home, s.secret(p.name, "kubeconfig", p.token))
		s.create(home, &v1alpha1.Cluster{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: p.name},
			Spec:       v1alpha1.ClusterSpec{KubeconfigSecretRef: &v1alpha1.SecretReference{Name: p.name}},
		})
	}
	s.create(home, s.fleet(edit))
	s.restrict()
	s.record()
	return s
}

func (s *sengu) secret(name, key string, value []byte) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}, Data: map[string][]byte{key: value}}
}

func (s *sengu) fleet(edit []func(*v1alpha1.FleetSpec)) *v1alpha1.Fleet {
	f := &v1alpha1.Fleet{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: fleetName},
		Spec: v1alpha1.FleetSpec{
			Git: v1alpha1.GitSource{
				URL: s.repo.url(), Branch: branch, Interval: metav1.Duration{Duration: 5 * time.Second},
				SecretRef: &v1alpha1.SecretReference{Name: "git"}, WebhookSecretRef: &v1alpha1.SecretReference{Name: "webhook"},
			},
			Layout: layout,
			Environments: []v1alpha1.Environment{
				{Name: "dev", Cluster: "dev", Namespace: s.target},
				{Name: "prod", Cluster: "prod", Namespace: s.target, After: []string{"dev"}},
			},
		},
	}
	for _, e := range edit {
		e(&f.Spec)
	}
	return f
}

// onlyDev leaves the environment dev.
func onlyDev(f *v1alpha1.FleetSpec) { f.Environments = f.Environments[:1] }

// noSelfHeal leaves drift as it is.
func noSelfHeal(f *v1alpha1.FleetSpec) { no := false; f.SelfHeal = &no }

func freeAddress(t testing.TB) string {
	t.Helper()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = socket.Close() }()
	return socket.Addr().String()
}

// start starts the server, and waits until it says that it is ready.
func (s *sengu) start() {
	s.Helper()
	s.launch()
	s.eventually("Sengu is ready", s.ready)
}

// launch starts the server.
func (s *sengu) launch() {
	s.Helper()
	var err error
	if s.log, err = s.evidence.file(s.Name() + "-" + s.namespace + ".log"); err != nil {
		s.Fatal(err)
	}
	if s.clock != nil {
		s.launchHere()
		return
	}
	args := append([]string{
		"server", "--kubeconfig", s.own, "--namespace", s.namespace,
		"--data-dir", s.data, "--listen", s.address, "--metrics-listen", "0", "--log-level", "debug",
	}, s.flags...)
	cmd := exec.Command(s.binary, args...)
	cmd.Stdout, cmd.Stderr = s.log, s.log
	cmd.SysProcAttr = childAttributes()
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	s.process, s.ended = cmd, ended
}

// launchHere starts the server in this process, so that its time can be set.
func (s *sengu) launchHere() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	log := s.log
	go func() {
		defer close(ended)
		err := server.Run(ctx, server.Options{
			Kubeconfig: s.own, Namespace: s.namespace, DataDir: s.data, Listen: s.address, MetricsListen: "0", Version: "test",
			Clock: s.clock, Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
		if err != nil {
			s.Errorf("sengu ended: %v", err)
		}
	}()
	s.ended, s.leave = ended, cancel
}

// ready asks whether the server has looked at everything since it was started.
func (s *sengu) ready() error {
	select {
	case <-s.ended:
		return fmt.Errorf("sengu ended by itself: see %s", s.log.Name())
	default:
	}
	request, err := http.NewRequestWithContext(s.Context(), http.MethodGet, "http://"+s.address+"/readyz", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	// One that stands by is ready too, and has not begun.
	if err == nil && (response.StatusCode != http.StatusOK || strings.TrimSpace(string(text)) != "ok") {
		err = fmt.Errorf("/readyz answers %s: %s", response.Status, text)
	}
	return err
}

// kill9 ends the server and its workers without a chance to say anything.
func (s *sengu) kill9() { s.end(syscall.SIGKILL) }

// stop asks the server to end.
func (s *sengu) stop() { s.end(syscall.SIGTERM) }

func (s *sengu) end(signal syscall.Signal) {
	if s.leave != nil {
		s.leave()
		<-s.ended
		s.leave = nil
		_ = s.log.Close()
	}
	if s.process == nil {
		return
	}
	pid := s.process.Process.Pid
	s.process = nil
	_ = syscall.Kill(pid, signal) // it may have ended meanwhile
	select {
	case <-s.ended:
	case <-time.After(stopTimeout):
		_ = syscall.Kill(-pid, syscall.SIGKILL)
		<-s.ended
		s.Errorf("sengu did not stop within %s: see %s", stopTimeout, s.log.Name())
	}
	_ = s.log.Close()
}

// cli runs a verb, and keeps what it says as evidence.
func (s *sengu) cli(args ...string) (string, error) {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, s.binary, append(args, "--kubeconfig", s.home.kubeconfig, "--namespace", s.namespace)...)
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.Dir = filepath.Dir(s.repo.bare)
	err := cmd.Run()
	s.keep(output.String(), args...)
	if err != nil {
		err = fmt.Errorf("sengu %v: %w: %s", args, err, output.String())
	}
	return output.String(), err
}

// keep makes what a verb has said evidence.
func (s *sengu) keep(text string, args ...string) {
	s.Helper()
	file, err := s.evidence.file(s.Name() + "-" + s.namespace + ".cli")
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if _, err := fmt.Fprintf(file, "$ sengu %v\n%s\n", args, text); err != nil {
		s.Fatal(err)
	}
}

// must runs a verb that has to succeed.
func (s *sengu) must(args ...string) string {
	s.Helper()
	output, err := s.cli(args...)
	if err != nil {
		s.Fatal(err)
	}
	return output
}
