package health

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

func parse(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(data); err != nil {
		t.Fatal(err)
	}
	return u
}

type testCase struct {
	reason string
	given  string // YAML; kind and apiVersion first
	want   Status
}

func run(t *testing.T, cases map[string]testCase) {
	t.Helper()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Of(parse(t, tc.given))); diff != "" {
				t.Errorf("%s\nOf(...): -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

const (
	ok   = v1alpha1.Healthy
	prog = v1alpha1.Progressing
	bad  = v1alpha1.Degraded
	susp = v1alpha1.Suspended
	unkn = v1alpha1.HealthUnknown
)

func TestOfUnknownKinds(t *testing.T) {
	custom := func(meta, rest string) string {
		return "{apiVersion: example.com/v1, kind: Database, metadata: {name: a, " + meta + "}" + rest + "}"
	}
	conditions := func(list string) string { return ", status: {conditions: [" + list + "]}" }
	run(t, map[string]testCase{
		"NoStatus":     {"A kind that reports nothing is as healthy as it gets.", custom("", ""), Status{ok, ""}},
		"ConfigMap":    {"So is a ConfigMap.", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}", Status{ok, ""}},
		"Ready":        {"Ready is the usual word.", custom("", conditions("{type: Ready, status: 'True'}")), Status{ok, ""}},
		"NotReady":     {"Not ready, with the reason.", custom("", conditions("{type: Ready, status: 'False', reason: Making, message: waits for a disk}")), Status{prog, "Making: waits for a disk"}},
		"ReadyUnknown": {"Unknown is on its way.", custom("", conditions("{type: Ready, status: Unknown}")), Status{prog, "its controller gives no reason"}},
		"Available":    {"Available is the other word.", custom("", conditions("{type: Available, status: 'False', reason: Pulling}")), Status{prog, "Pulling"}},
		"Stalled":      {"Stalled does not get further.", custom("", conditions("{type: Ready, status: 'False'}, {type: Stalled, status: 'True', message: no quota}")), Status{bad, "no quota"}},
		"Failed":       {"Failed has failed.", custom("", conditions("{type: Failed, status: 'True', reason: Boom}")), Status{bad, "Boom"}},
		"Synced":       {"What could not be reconciled.", custom("", conditions("{type: Synced, status: 'False', reason: ReconcileError, message: denied}")), Status{bad, "ReconcileError: denied"}},
		"Reconciling":  {"Reconciling goes before Ready.", custom("", conditions("{type: Reconciling, status: 'True', message: making}, {type: Ready, status: 'True'}")), Status{prog, "making"}},
		"Stale":        {"Ready of an earlier generation is not Ready.", custom("generation: 2", ", status: {observedGeneration: 1, conditions: [{type: Ready, status: 'True'}]}"), Status{prog, "Database generation is 2, but latest observed generation is 1"}},
		"Deleting":     {"On its way out.", custom("deletionTimestamp: '2026-01-05T08:00:00Z', finalizers: [example.com/backup]", conditions("{type: Ready, status: 'True'}")), Status{prog, "is being deleted and waits for the finalizer example.com/backup"}},
		"DeletingBare": {"On its way out, held by nothing.", custom("deletionTimestamp: '2026-01-05T08:00:00Z'", ""), Status{prog, "is being deleted"}},
		"Odd":          {"A status that is no map is not understood.", custom("", ", status: {conditions: {a: b}}"), Status{unkn, "has a status that cannot be read: cannot restore slice from map"}},
		"Long":         {"A message is one line, and not too long.", custom("", conditions(`{type: Ready, status: 'False', message: "a\n\tb`+strings.Repeat("é", 400)+`"}`)), Status{prog, "a b" + strings.Repeat("é", 147) + "…"}},
	})
}

func TestOfWorkloads(t *testing.T) {
	deployment := func(spec, status string) string {
		return "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, generation: 2}, spec: {progressDeadlineSeconds: 600, " + spec + "}, status: {observedGeneration: 2, " + status + "}}"
	}
	const available = "conditions: [{type: Available, status: 'True'}, {type: Progressing, status: 'True', reason: NewReplicaSetAvailable}]"
	set := func(spec, status string) string {
		return "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: a, generation: 1}, spec: {" + spec + "}, status: {observedGeneration: 1, " + status + "}}"
	}
	daemon := func(spec, status string) string {
		return "{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: a, generation: 1}, spec: {" + spec + "}, status: {observedGeneration: 1, " + status + "}}"
	}
	run(t, map[string]testCase{
		"Deployment":          {"All Pods are there.", deployment("replicas: 2", "replicas: 2, updatedReplicas: 2, readyReplicas: 2, availableReplicas: 2, "+available), Status{ok, ""}},
		"DeploymentZero":      {"None are wanted.", deployment("replicas: 0", available), Status{ok, ""}},
		"DeploymentRolling":   {"New Pods are missing.", deployment("replicas: 2", "replicas: 2, updatedReplicas: 1, readyReplicas: 2, availableReplicas: 2, "+available), Status{prog, "1 of 2 Pods are of the new version"}},
		"DeploymentOld":       {"Old Pods are left.", deployment("replicas: 2", "replicas: 3, updatedReplicas: 2, readyReplicas: 3, availableReplicas: 3, "+available), Status{prog, "waits for 1 Pod of the old version to end"}},
		"DeploymentUnready":   {"Pods are not available.", deployment("replicas: 2", "replicas: 2, updatedReplicas: 2, readyReplicas: 1, availableReplicas: 1, "+available), Status{prog, "1 of 2 Pods are available"}},
		"DeploymentDeadline":  {"No progress in time.", deployment("replicas: 2", "replicas: 2, updatedReplicas: 2, conditions: [{type: Progressing, status: 'False', reason: ProgressDeadlineExceeded}]"), Status{bad, "has made no progress within its deadline: 0 of 2 Pods are available"}},
		"DeploymentQuota":     {"Pods cannot be made.", deployment("replicas: 2", "conditions: [{type: ReplicaFailure, status: 'True', reason: FailedCreate, message: exceeded quota}]"), Status{bad, "cannot make its Pods: FailedCreate: exceeded quota"}},
		"DeploymentPaused":    {"Somebody has paused it.", deployment("paused: true", ""), Status{susp, "is paused: spec.paused is true"}},
		"DeploymentStale":     {"Its controller is behind.", "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, generation: 3}, status: {observedGeneration: 2, replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1, " + available + "}}", Status{prog, waitsForController}},
		"DeploymentNew":       {"Its controller has not seen it.", "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, generation: 1}, spec: {replicas: 0}}", Status{prog, waitsForController}},
		"StatefulSet":         {"All Pods are there.", set("replicas: 1", "replicas: 1, readyReplicas: 1, currentReplicas: 1, updatedReplicas: 1, currentRevision: a, updateRevision: a"), Status{ok, ""}},
		"StatefulSetUnready":  {"A Pod is not ready.", set("replicas: 2", "replicas: 2, readyReplicas: 1"), Status{prog, "1 of 2 Pods are ready"}},
		"StatefulSetRolling":  {"A Pod is of the old version.", set("replicas: 2", "replicas: 2, readyReplicas: 2, currentReplicas: 1, updatedReplicas: 1, currentRevision: a, updateRevision: b"), Status{prog, "1 of 2 Pods are of the new version"}},
		"StatefulSetPart":     {"A partition holds old Pods back, and that is meant.", set("replicas: 3, updateStrategy: {rollingUpdate: {partition: 2}}", "replicas: 3, readyReplicas: 3, currentReplicas: 2, updatedReplicas: 1, currentRevision: a, updateRevision: b"), Status{ok, ""}},
		"StatefulSetPartRoll": {"Up to the partition it goes on.", set("replicas: 3, updateStrategy: {rollingUpdate: {partition: 1}}", "replicas: 3, readyReplicas: 3, currentReplicas: 2, updatedReplicas: 1, currentRevision: a, updateRevision: b"), Status{prog, "1 of 2 Pods are of the new version"}},
		"StatefulSetOnDelete": {"Old Pods wait for a person.", set("replicas: 2, updateStrategy: {type: OnDelete}", "replicas: 2, readyReplicas: 2, updatedReplicas: 1, currentRevision: a, updateRevision: b"), Status{ok, "keeps 1 Pod of the old version until somebody deletes them (OnDelete)"}},
		"StatefulSetOnDelUn":  {"Pods must be ready all the same.", set("replicas: 2, updateStrategy: {type: OnDelete}", "replicas: 2, readyReplicas: 1"), Status{prog, "1 of 2 Pods are ready"}},
		"DaemonSet":           {"On all nodes.", daemon("", "desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 2"), Status{ok, ""}},
		"DaemonSetNoNodes":    {"On no node, because none is wanted.", daemon("", "desiredNumberScheduled: 0"), Status{ok, ""}},
		"DaemonSetRolling":    {"Old on one node.", daemon("", "desiredNumberScheduled: 2, updatedNumberScheduled: 1, numberAvailable: 2"), Status{prog, "1 of 2 Pods are of the new version"}},
		"DaemonSetUnready":    {"Not available on one.", daemon("", "desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 1"), Status{prog, "1 of 2 Pods are available"}},
		"DaemonSetOnDelete":   {"Old Pods wait for a person.", daemon("updateStrategy: {type: OnDelete}", "desiredNumberScheduled: 2, updatedNumberScheduled: 1, numberAvailable: 2"), Status{ok, "keeps 1 Pod of the old version until somebody deletes them (OnDelete)"}},
		"DaemonSetNew":        {"Its controller has not seen it.", "{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: a, generation: 1}}", Status{prog, waitsForController}},
		"ReplicaSet":          {"All Pods are there.", "{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: a, generation: 1}, spec: {replicas: 1}, status: {observedGeneration: 1, replicas: 1, availableReplicas: 1}}", Status{ok, ""}},
		"ReplicaSetFew":       {"Some are missing.", "{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: a, generation: 1}, spec: {replicas: 2}, status: {observedGeneration: 1, replicas: 1, availableReplicas: 1}}", Status{prog, "1 of 2 Pods are available"}},
		"PodReady":            {"Runs and is ready.", "{apiVersion: v1, kind: Pod, metadata: {name: a}, status: {phase: Running, conditions: [{type: Ready, status: 'True'}]}}", Status{ok, ""}},
		"PodUnready":          {"Runs and is not.", "{apiVersion: v1, kind: Pod, metadata: {name: a}, status: {phase: Running}}", Status{prog, "runs but is not ready"}},
		"PodCrash":            {"Keeps ending.", "{apiVersion: v1, kind: Pod, metadata: {name: a}, status: {phase: Running, containerStatuses: [{name: app, state: {waiting: {reason: CrashLoopBackOff}}}]}}", Status{bad, "has the container app in CrashLoopBackOff"}},
		"PodImage":            {"Has no image.", "{apiVersion: v1, kind: Pod, metadata: {name: a}, status: {phase: Pending, containerStatuses: [{name: app, state: {waiting: {reason: ImagePullBackOff}}}]}}", Status{bad, "has the container app in ImagePullBackOff"}},
		"PodUnscheduled":      {"Has no node.", "{apiVersion: v1, kind: Pod, metadata: {name: a}, status: {phase: Pending, conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable, message: no nodes}]}}", Status{prog, "is not scheduled: Unschedulable: no nodes"}},
		"PodFailed":           {"Has failed.", "{apiVersion: v1, kind: Pod, metadata: {name: a}, status: {phase: Failed, reason: Evicted}}", Status{bad, "has failed: Evicted"}},
		"PodDone":             {"Has done its work.", "{apiVersion: v1, kind: Pod, metadata: {name: a}, status: {phase: Succeeded}}", Status{ok, ""}},
		"PodNew":              {"Has not begun.", "{apiVersion: v1, kind: Pod, metadata: {name: a}}", Status{prog, "has not started yet"}},
		"PodLost":             {"Nobody knows.", "{apiVersion: v1, kind: Pod, metadata: {name: a}, status: {phase: Unknown}}", Status{unkn, "is on a node that does not answer"}},
		"Job":                 {"Done.", "{apiVersion: batch/v1, kind: Job, metadata: {name: a}, status: {conditions: [{type: Complete, status: 'True'}]}}", Status{ok, ""}},
		"JobFailed":           {"Failed.", "{apiVersion: batch/v1, kind: Job, metadata: {name: a}, status: {conditions: [{type: Failed, status: 'True', reason: BackoffLimitExceeded}]}}", Status{bad, "has failed: BackoffLimitExceeded"}},
		"JobRunning":          {"Running is not healthy yet.", "{apiVersion: batch/v1, kind: Job, metadata: {name: a}, status: {startTime: '2026-01-05T08:00:00Z', active: 1}}", Status{prog, "is running"}},
		"JobRetrying":         {"Running again.", "{apiVersion: batch/v1, kind: Job, metadata: {name: a}, status: {startTime: '2026-01-05T08:00:00Z', active: 1, failed: 2}}", Status{prog, "is running, after 2 Pods failed"}},
		"JobNew":              {"Not started.", "{apiVersion: batch/v1, kind: Job, metadata: {name: a}}", Status{prog, "has not started yet"}},
		"JobSuspended":        {"Suspended.", "{apiVersion: batch/v1, kind: Job, metadata: {name: a}, spec: {suspend: true}, status: {conditions: [{type: Suspended, status: 'True'}]}}", Status{susp, "is suspended: spec.suspend is true"}},
		"CronJob":             {"The last run succeeded.", "{apiVersion: batch/v1, kind: CronJob, metadata: {name: a}, status: {lastScheduleTime: '2026-01-05T08:00:00Z', lastSuccessfulTime: '2026-01-05T08:00:09Z'}}", Status{ok, ""}},
		"CronJobNew":          {"It has never run.", "{apiVersion: batch/v1, kind: CronJob, metadata: {name: a}}", Status{ok, ""}},
		"CronJobRunning":      {"A run says nothing until it is over.", "{apiVersion: batch/v1, kind: CronJob, metadata: {name: a}, status: {active: [{name: a-1}], lastScheduleTime: '2026-01-05T09:00:00Z', lastSuccessfulTime: '2026-01-05T08:00:09Z'}}", Status{ok, ""}},
		"CronJobFailed":       {"The last run failed.", "{apiVersion: batch/v1, kind: CronJob, metadata: {name: a}, status: {lastScheduleTime: '2026-01-05T09:00:00Z', lastSuccessfulTime: '2026-01-05T08:00:09Z'}}", Status{bad, "did not succeed in its last run"}},
		"CronJobMended":       {"A run of before the change says nothing about the change.", "{apiVersion: batch/v1, kind: CronJob, metadata: {name: a, managedFields: [{manager: m, time: '2026-01-05T09:30:00Z'}, {manager: n, subresource: status, time: '2026-01-05T09:01:00Z'}]}, status: {lastScheduleTime: '2026-01-05T09:00:00Z'}}", Status{ok, "did not succeed in its last run, which was before it was changed"}},
		"CronJobStillFailing": {"A run of after it does.", "{apiVersion: batch/v1, kind: CronJob, metadata: {name: a, managedFields: [{manager: m, time: '2026-01-05T08:30:00Z'}, {manager: n, subresource: status, time: '2026-01-05T09:01:00Z'}]}, status: {lastScheduleTime: '2026-01-05T09:00:00Z'}}", Status{bad, "did not succeed in its last run"}},
		"CronJobSuspended":    {"Suspended.", "{apiVersion: batch/v1, kind: CronJob, metadata: {name: a}, spec: {suspend: true}, status: {lastScheduleTime: '2026-01-05T09:00:00Z'}}", Status{susp, "is suspended: spec.suspend is true"}},
	})
}

func TestOfNetworkAndStorage(t *testing.T) {
	gw := func(kind, rest string) string {
		return "{apiVersion: gateway.networking.k8s.io/v1, kind: " + kind + ", metadata: {name: a, generation: 2}" + rest + "}"
	}
	parent := func(conditions string) string {
		return gw("HTTPRoute", ", status: {parents: [{parentRef: {name: edge}, conditions: ["+conditions+"]}]}")
	}
	run(t, map[string]testCase{
		"Service":          {"A plain Service.", "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {type: ClusterIP}, status: {loadBalancer: {}}}", Status{ok, ""}},
		"LoadBalancer":     {"A load balancer with an address.", "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {type: LoadBalancer}, status: {loadBalancer: {ingress: [{ip: 192.0.2.1}]}}}", Status{ok, ""}},
		"LoadBalancerNone": {"A load balancer without one.", "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {type: LoadBalancer}}", Status{prog, "waits for the address of its load balancer"}},
		"Ingress":          {"An Ingress with an address.", "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: a}, status: {loadBalancer: {ingress: [{hostname: x}]}}}", Status{ok, ""}},
		"IngressNone":      {"Many controllers never report one.", "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: a}}", Status{ok, "has no address that its controller reports"}},
		"Claim":            {"A claim with a volume.", "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}, status: {phase: Bound}}", Status{ok, ""}},
		"ClaimPending":     {"A claim without one.", "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}, status: {phase: Pending}}", Status{prog, "waits for a volume"}},
		"ClaimLost":        {"A claim that lost its volume.", "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}, spec: {volumeName: v}, status: {phase: Lost}}", Status{bad, "has lost its volume v"}},
		"ClaimGrowing":     {"A claim that grows.", "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}, status: {phase: Bound, conditions: [{type: FileSystemResizePending, status: 'True'}]}}", Status{prog, "waits for its Pod to restart before its file system grows"}},
		"Volume":           {"A volume that failed.", "{apiVersion: v1, kind: PersistentVolume, metadata: {name: a}, status: {phase: Failed}}", Status{bad, "could not be reclaimed"}},
		"Namespace":        {"A namespace.", "{apiVersion: v1, kind: Namespace, metadata: {name: a}, status: {phase: Active}}", Status{ok, ""}},
		"Gateway":          {"A gateway in force.", gw("Gateway", ", status: {conditions: [{type: Accepted, status: 'True', observedGeneration: 2}, {type: Programmed, status: 'True'}]}"), Status{ok, ""}},
		"GatewayPending":   {"Not in force yet.", gw("Gateway", ", status: {conditions: [{type: Accepted, status: 'True'}, {type: Programmed, status: 'False', reason: AddressNotAssigned}]}"), Status{prog, "is not in force yet: AddressNotAssigned"}},
		"GatewayRefused":   {"Not accepted.", gw("Gateway", ", status: {conditions: [{type: Accepted, status: 'False', reason: InvalidParameters}]}"), Status{bad, "is not accepted: InvalidParameters"}},
		"GatewayWaiting":   {"The default that no controller has looked at.", gw("Gateway", ", status: {conditions: [{type: Accepted, status: Unknown, reason: Pending}]}"), Status{prog, "is not accepted yet: Pending"}},
		"GatewayListener":  {"A listener without its certificate.", gw("Gateway", ", status: {conditions: [{type: Accepted, status: 'True'}], listeners: [{name: https, conditions: [{type: ResolvedRefs, status: 'False', reason: InvalidCertificateRef}]}]}"), Status{bad, "has the listener https that refers to what is not there: InvalidCertificateRef"}},
		"GatewayStale":     {"An earlier generation.", gw("Gateway", ", status: {conditions: [{type: Accepted, status: 'True', observedGeneration: 1}]}"), Status{prog, waitsForController}},
		"Route":            {"A route that is accepted.", parent("{type: Accepted, status: 'True'}, {type: ResolvedRefs, status: 'True'}"), Status{ok, ""}},
		"RouteNone":        {"Nobody has looked.", gw("HTTPRoute", ""), Status{prog, "waits for a Gateway to accept it"}},
		"RouteRefused":     {"Not accepted.", parent("{type: Accepted, status: 'False', reason: NoMatchingParent}"), Status{bad, "is not accepted by the Gateway edge: NoMatchingParent"}},
		"RouteRefs":        {"A backend that is not there.", parent("{type: Accepted, status: 'True'}, {type: ResolvedRefs, status: 'False', reason: BackendNotFound}"), Status{bad, "refers to what is not there: BackendNotFound"}},
		"RoutePending":     {"On its way.", parent("{type: Accepted, status: 'False', reason: Pending}"), Status{prog, "waits for the Gateway edge: Pending"}},
		"RouteStale":       {"An earlier generation.", parent("{type: Accepted, status: 'True', observedGeneration: 1}"), Status{prog, waitsForController}},
		"APIService":       {"Served by the API server itself.", "{apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: {name: a}, spec: {}}", Status{ok, ""}},
		"APIServiceDown":   {"Served by what does not answer.", "{apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: {name: a}, spec: {service: {name: x}}, status: {conditions: [{type: Available, status: 'False', reason: MissingEndpoints}]}}", Status{prog, "is not available: MissingEndpoints"}},
		"CRD":              {"A kind that is served.", "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: a}, status: {conditions: [{type: NamesAccepted, status: 'True'}, {type: Established, status: 'True'}]}}", Status{ok, ""}},
		"CRDNew":           {"A kind that is not served yet.", "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: a}, status: {conditions: [{type: Established, status: 'False', reason: Installing}]}}", Status{prog, "is not served yet"}},
		"CRDNames":         {"Names that are taken.", "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: a}, status: {conditions: [{type: NamesAccepted, status: 'False', reason: PluralConflict}]}}", Status{bad, "has names that are taken: PluralConflict"}},
	})
}

func TestOfAddons(t *testing.T) {
	of := func(apiVersion, kind, rest string) string {
		return "{apiVersion: " + apiVersion + ", kind: " + kind + ", metadata: {name: a, generation: 2}, " + rest + "}"
	}
	hpa := func(conditions string) string {
		return of("autoscaling/v2", "HorizontalPodAutoscaler", "status: {conditions: ["+conditions+"]}")
	}
	certificate := func(rest string) string { return of("cert-manager.io/v1", "Certificate", "status: {"+rest+"}") }
	rollout := func(status string) string { return of("argoproj.io/v1alpha1", "Rollout", "status: {"+status+"}") }
	run(t, map[string]testCase{
		"HPA":               {"It scales.", hpa("{type: AbleToScale, status: 'True'}, {type: ScalingActive, status: 'True'}"), Status{ok, ""}},
		"HPAMetrics":        {"Metrics are always late for new Pods.", hpa("{type: ScalingActive, status: 'False', reason: FailedGetResourceMetric, message: no metrics}"), Status{prog, "waits for metrics: FailedGetResourceMetric: no metrics"}},
		"HPAZero":           {"Nothing to scale.", hpa("{type: ScalingActive, status: 'False', reason: ScalingDisabled}"), Status{ok, "does not scale, because its target has no replicas"}},
		"HPATarget":         {"No target.", hpa("{type: AbleToScale, status: 'False', reason: FailedGetScale, message: not found}"), Status{bad, "cannot scale: FailedGetScale: not found"}},
		"HPASelector":       {"A selector that is none.", hpa("{type: ScalingActive, status: 'False', reason: InvalidSelector}"), Status{bad, "cannot scale: InvalidSelector"}},
		"KEDA":              {"Ready.", of("keda.sh/v1alpha1", "ScaledObject", "status: {conditions: [{type: Ready, status: 'True'}, {type: Paused, status: 'False'}]}"), Status{ok, ""}},
		"KEDAPaused":        {"Paused.", of("keda.sh/v1alpha1", "ScaledObject", "status: {conditions: [{type: Ready, status: 'True'}, {type: Paused, status: 'True'}]}"), Status{susp, "is paused"}},
		"KEDABroken":        {"Broken.", of("keda.sh/v1alpha1", "ScaledObject", "status: {conditions: [{type: Ready, status: 'False', reason: ScaledObjectCheckFailed}]}"), Status{bad, "ScaledObjectCheckFailed"}},
		"Certificate":       {"Issued.", certificate("conditions: [{type: Ready, status: 'True', observedGeneration: 2}]"), Status{ok, ""}},
		"CertificateNew":    {"Being issued.", certificate("conditions: [{type: Ready, status: 'False', reason: DoesNotExist}, {type: Issuing, status: 'True', message: asking}]"), Status{prog, "is being issued: asking"}},
		"CertificateFailed": {"Could not be issued.", certificate("conditions: [{type: Ready, status: 'False'}, {type: Issuing, status: 'False', reason: Failed, message: denied}]"), Status{bad, "could not be issued: Failed: denied"}},
		"CertificateRenew":  {"A renewal that fails while the old one is good.", certificate("conditions: [{type: Ready, status: 'True'}, {type: Issuing, status: 'False', reason: Failed}]"), Status{ok, ""}},
		"CertificateStale":  {"An earlier generation.", certificate("conditions: [{type: Ready, status: 'True', observedGeneration: 1}]"), Status{prog, waitsForController}},
		"Issuer":            {"An issuer that cannot.", of("cert-manager.io/v1", "ClusterIssuer", "status: {conditions: [{type: Ready, status: 'False', reason: ErrRegisterACMEAccount}]}"), Status{bad, "ErrRegisterACMEAccount"}},
		"IssuerNew":         {"An issuer that nobody has looked at.", of("cert-manager.io/v1", "Issuer", "spec: {}"), Status{prog, waitsForController}},
		"ExternalSecret":    {"A secret that cannot be fetched.", of("external-secrets.io/v1", "ExternalSecret", "status: {conditions: [{type: Ready, status: 'False', reason: SecretSyncedError}]}"), Status{bad, "SecretSyncedError"}},
		"SealedSecret":      {"A secret that cannot be opened.", of("bitnami.com/v1alpha1", "SealedSecret", "status: {observedGeneration: 2, conditions: [{type: Synced, status: 'False', message: no key}]}"), Status{bad, "could not be opened: no key"}},
		"Rollout":           {"Its observed generation is text.", rollout("observedGeneration: '2', phase: Healthy"), Status{ok, ""}},
		"RolloutStale":      {"An earlier generation.", rollout("observedGeneration: '1', phase: Healthy"), Status{prog, waitsForController}},
		"RolloutPaused":     {"A canary that waits.", rollout("observedGeneration: '2', phase: Paused, message: CanaryPauseStep"), Status{susp, "is paused: CanaryPauseStep"}},
		"RolloutDegraded":   {"Degraded.", rollout("observedGeneration: '2', phase: Degraded"), Status{bad, "is degraded"}},
		"RolloutAborted":    {"Aborted.", rollout("observedGeneration: '2', phase: Progressing, abort: true, message: metric failed"), Status{bad, "was aborted: metric failed"}},
		"RolloutGoing":      {"On its way.", rollout("observedGeneration: '2', phase: Progressing"), Status{prog, "is rolling out"}},
		"AnalysisNoResult":  {"Too little evidence is no pass.", of("argoproj.io/v1alpha1", "AnalysisRun", "status: {phase: Inconclusive}"), Status{unkn, "came to no result"}},
		"AnalysisFailed":    {"Failed.", of("argoproj.io/v1alpha1", "AnalysisRun", "status: {phase: Failed}"), Status{bad, "did not succeed"}},
		"Canary":            {"Promoted.", of("flagger.app/v1beta1", "Canary", "status: {phase: Succeeded}"), Status{ok, ""}},
		"CanaryFailed":      {"Taken back.", of("flagger.app/v1beta1", "Canary", "status: {phase: Failed, conditions: [{type: Promoted, status: 'False', reason: Failed}]}"), Status{bad, "was taken back: Failed"}},
		"CanaryWaiting":     {"Waits for a person.", of("flagger.app/v1beta1", "Canary", "status: {phase: WaitingPromotion}"), Status{susp, "waits for an approval"}},
	})
}

func TestWorst(t *testing.T) {
	cases := map[string]struct {
		given []v1alpha1.HealthStatus
		want  v1alpha1.HealthStatus
	}{
		"None":      {nil, ok},
		"Healthy":   {[]v1alpha1.HealthStatus{ok, ok}, ok},
		"Suspended": {[]v1alpha1.HealthStatus{ok, susp}, susp},
		"Mixed":     {[]v1alpha1.HealthStatus{susp, prog, ok}, prog},
		"Unknown":   {[]v1alpha1.HealthStatus{unkn, prog}, unkn},
		"Missing":   {[]v1alpha1.HealthStatus{unkn, v1alpha1.Missing}, v1alpha1.Missing},
		"Degraded":  {[]v1alpha1.HealthStatus{bad, v1alpha1.Missing, unkn}, bad},
		"NoWord":    {[]v1alpha1.HealthStatus{"", prog}, unkn},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var all []Status
			for _, word := range tc.given {
				all = append(all, Status{Status: word})
			}
			if got := Worst(all); got != tc.want {
				t.Errorf("Worst(%v) = %s, want %s", tc.given, got, tc.want)
			}
		})
	}
}

// FuzzOf gives every kind the status of another: none may panic, and none may answer with no word of the API.
func FuzzOf(f *testing.F) {
	for _, seed := range []string{
		`{"conditions": [{"type": "Ready", "status": "True"}], "phase": "Bound"}`,
		`{"conditions": {}, "containerStatuses": [{"name": 1, "state": []}], "observedGeneration": "2"}`,
		`{"conditions": [1, null, {"type": "Failed", "status": true}], "parents": [{"conditions": [null]}], "listeners": [[]]}`,
		`[]`, `null`, `"x"`,
	} {
		f.Add([]byte(seed), []byte(seed))
	}
	f.Fuzz(func(t *testing.T, spec, status []byte) {
		var s, st any
		if json.Unmarshal(spec, &s) != nil || json.Unmarshal(status, &st) != nil {
			return
		}
		try := func(gk schema.GroupKind) {
			u := &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": schema.GroupVersion{Group: gk.Group, Version: "v1"}.String(), "kind": gk.Kind,
				"metadata": map[string]any{"name": "a", "generation": int64(2)}, "spec": s, "status": st,
			}}
			if got := Of(u); !slices.Contains([]v1alpha1.HealthStatus{ok, prog, bad, susp, unkn}, got.Status) || len(got.Message) > maxMessage {
				t.Errorf("Of a %s = %+v", gk, got)
			}
		}
		try(schema.GroupKind{Group: "example.com", Kind: "Database"})
		for gk := range judges {
			try(gk)
		}
	})
}

func BenchmarkOf(b *testing.B) {
	u := parse(b, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, generation: 1}, spec: {replicas: 0}, status: {observedGeneration: 1, conditions: [{type: Available, status: 'True'}, {type: Progressing, status: 'True', reason: NewReplicaSetAvailable}]}}")
	b.ReportAllocs()
	for b.Loop() {
		Of(u)
	}
}
