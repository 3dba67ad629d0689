package health

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

var now = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)

func pods(t *testing.T, texts ...string) []corev1.Pod {
	t.Helper()
	var list []corev1.Pod
	for _, text := range texts {
		var p corev1.Pod
		if err := yaml.UnmarshalStrict([]byte(text), &p); err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	return list
}

func TestPods(t *testing.T) {
	at := func(ago time.Duration) string { return now.Add(-ago).Format(time.RFC3339) }
	p := func(name, rest string) string {
		return "{metadata: {name: " + name + ", namespace: shop, creationTimestamp: '" + at(time.Minute) + "'}, " +
			"spec: {containers: [{name: app, image: 'registry.example.com/app:1', env: [{name: A, value: planted}], readinessProbe: {httpGet: {port: 80}}}, {name: plain, image: b}], initContainers: [{name: init, image: c}, {name: side, image: d, restartPolicy: Always}]}, status: {" + rest + "}}"
	}
	container := func(state string) string { return "containerStatuses: [{name: app, " + state + "}]" }
	cases := map[string]struct {
		reason string
		pods   []string
		want   string
	}{
		"None":          {reason: "No Pods, no trouble."},
		"Ready":         {reason: "A Pod that is ready is no trouble.", pods: []string{p("a", "phase: Running, "+container("ready: true, state: {running: {startedAt: '"+at(time.Hour)+"'}}"))}},
		"Done":          {reason: "Nor is one that is done.", pods: []string{p("a", "phase: Succeeded, "+container("state: {terminated: {exitCode: 0}}"))}},
		"Young":         {reason: "Nor one that has just begun.", pods: []string{p("a", "phase: Running, "+container("state: {running: {startedAt: '"+at(5*time.Second)+"'}}"))}},
		"Image":         {reason: "An image that is not there.", pods: []string{p("a", container("state: {waiting: {reason: ImagePullBackOff, message: 'Back-off pulling image'}}"))}, want: "Pod a: ImagePullBackOff: image registry.example.com/app:1 of container app: Back-off pulling image"},
		"Config":        {reason: "A Secret that is not there.", pods: []string{p("a", container("state: {waiting: {reason: CreateContainerConfigError, message: 'secret \"db\" not found'}}"))}, want: `Pod a: CreateContainerConfigError: container app: secret "db" not found`},
		"Crash":         {reason: "A container that keeps ending, without what it wrote.", pods: []string{p("a", container("state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 3, message: planted}}"))}, want: "Pod a: CrashLoopBackOff: container app keeps ending with exit code 3"},
		"CrashOK":       {reason: "A container that ends well, again and again.", pods: []string{p("a", container("state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 0}}"))}, want: "Pod a: CrashLoopBackOff: container app keeps ending with exit code 0, though it should run on"},
		"CrashNew":      {reason: "A container of which nothing else is known.", pods: []string{p("a", container("state: {waiting: {reason: CrashLoopBackOff}}"))}, want: "Pod a: CrashLoopBackOff: container app keeps ending"},
		"CrashOOM":      {reason: "A container that is killed again and again.", pods: []string{p("a", container("state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 137, reason: OOMKilled}}"))}, want: "Pod a: CrashLoopBackOff: container app keeps being killed for using more memory than its limit allows (OOMKilled)"},
		"OOM":           {reason: "A container that was killed once.", pods: []string{p("a", container("state: {running: {}}, lastState: {terminated: {exitCode: 137, reason: OOMKilled}}"))}, want: "Pod a: OOMKilled: container app has been started again after it used more memory than its limit allows"},
		"Signal":        {reason: "A container that ended by a signal.", pods: []string{p("a", container("state: {terminated: {exitCode: 139, signal: 11}}"))}, want: "Pod a: Error: container app has ended by signal 11"},
		"Exit":          {reason: "A container that ended.", pods: []string{p("a", container("state: {terminated: {exitCode: 2, reason: Error, message: planted}}"))}, want: "Pod a: Error: container app has exited with code 2"},
		"Init":          {reason: "An init container that fails.", pods: []string{p("a", "initContainerStatuses: [{name: init, state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 1}}}], "+container("state: {waiting: {reason: PodInitializing}}"))}, want: "Pod a: CrashLoopBackOff: init container init keeps ending with exit code 1"},
		"InitSlow":      {reason: "An init container that takes long.", pods: []string{p("a", "initContainerStatuses: [{name: init, started: true, state: {running: {startedAt: '"+at(time.Minute)+"'}}}]")}, want: "Pod a: Initializing: init container init has not ended yet"},
		"Sidecar":       {reason: "A sidecar never ends.", pods: []string{p("a", "initContainerStatuses: [{name: side, started: true, state: {running: {startedAt: '"+at(time.Minute)+"'}}}]")}},
		"Unschedulable": {reason: "No node takes it.", pods: []string{p("a", "conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable, message: '0/3 nodes are available: 3 Insufficient cpu.'}]")}, want: "Pod a: Unschedulable: 0/3 nodes are available: 3 Insufficient cpu."},
		"Gated":         {reason: "A gate holds it.", pods: []string{p("a", "conditions: [{type: PodScheduled, status: 'False', reason: SchedulingGated}]")}, want: "Pod a: SchedulingGated"},
		"Evicted":       {reason: "A node has thrown it out.", pods: []string{p("a", "phase: Failed, reason: Evicted, message: The node was low on resource")}, want: "Pod a: Evicted: The node was low on resource"},
		"Readiness":     {reason: "It runs and is not ready.", pods: []string{p("a", "phase: Running, "+container("state: {running: {startedAt: '"+at(time.Minute)+"'}}, started: true"))}, want: "Pod a: NotReady: container app runs, but does not pass its readiness probe"},
		"Startup":       {reason: "It runs and has not started.", pods: []string{p("a", "phase: Running, "+container("state: {running: {startedAt: '"+at(time.Minute)+"'}}, started: false"))}, want: "Pod a: NotReady: container app runs, but has not passed its startup probe"},
		"Volumes":       {reason: "It waits for volumes.", pods: []string{p("a", container("state: {waiting: {reason: ContainerCreating}}"))}, want: "Pod a: ContainerCreating: its volumes or its network are not there yet"},
		"Gate":          {reason: "A readiness gate is closed.", pods: []string{"{metadata: {name: a}, spec: {readinessGates: [{conditionType: example.com/lb}]}, status: {phase: Running}}"}, want: "Pod a: NotReady: its readiness gate example.com/lb is not open"},
		"Ending":        {reason: "One that is being deleted is no trouble.", pods: []string{"{metadata: {name: a, deletionTimestamp: '" + at(time.Second) + "'}, status: {phase: Failed}}"}},
		"NeverEnding":   {reason: "Unless it does not end.", pods: []string{"{metadata: {name: a, deletionTimestamp: '" + at(time.Hour) + "'}}"}, want: "Pod a: Terminating: it has not ended within its grace period"},
		"MostTelling": {reason: "What somebody has to mend goes first.", pods: []string{
			p("a", "phase: Running, "+container("state: {running: {startedAt: '"+at(time.Minute)+"'}}")),
			p("b", "conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable}]"),
			p("d", container("state: {waiting: {reason: ErrImagePull, message: not found}}")),
			p("c", container("state: {waiting: {reason: CrashLoopBackOff}}")),
		}, want: "Pod d: ErrImagePull: image registry.example.com/app:1 of container app: not found"},
		"Newest": {reason: "Of equal ones, the newest, which is of the new version.", pods: []string{
			strings.Replace(p("a", container("state: {waiting: {reason: CrashLoopBackOff}}")), at(time.Minute), at(time.Hour), 1),
			p("c", container("state: {waiting: {reason: CrashLoopBackOff}}")),
			p("b", container("state: {waiting: {reason: CrashLoopBackOff}}")),
		}, want: "Pod b: CrashLoopBackOff: container app keeps ending"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, ok := Pods(pods(t, tc.pods...), now)
			if got != tc.want || ok != (tc.want != "") {
				t.Errorf("%s\nPods(...) = %q, %v, want %q", tc.reason, got, ok, tc.want)
			}
			if strings.Contains(got, "planted") {
				t.Errorf("a value is shown: %s", got)
			}
		})
	}
}

func TestWorstPod(t *testing.T) {
	list := pods(t, "{metadata: {name: a, namespace: shop}, status: {containerStatuses: [{name: app, state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 1}}}]}}")
	got, ok := WorstPod(list, now)
	if !ok || got.Namespace != "shop" || got.Pod != "a" || got.Container != "app" || !got.Log || !got.Previous {
		t.Errorf("WorstPod(...) = %+v, %v", got, ok)
	}
}
