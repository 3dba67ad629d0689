package job

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func TestStateOf(t *testing.T) {
	started := time.Date(2030, 4, 1, 9, 0, 0, 0, time.UTC)
	ended := started.Add(time.Minute)
	cases := map[string]struct {
		reason string
		job    string
		want   State
	}{
		"New":     {"Nothing is known of it but that it is there.", "{}", State{Phase: Running, Message: "has not started yet"}},
		"Running": {"It runs.", `{status: {startTime: "2030-04-01T09:00:00Z"}}`, State{Phase: Running, Started: started, Message: "is running"}},
		"Retry":   {"A Pod that failed is told.", `{status: {startTime: "2030-04-01T09:00:00Z", failed: 1}}`, State{Phase: Running, Started: started, Message: "is running, after 1 Pod failed"}},
		"Retries": {"Several are, too.", `{status: {startTime: "2030-04-01T09:00:00Z", failed: 3}}`, State{Phase: Running, Started: started, Message: "is running, after 3 Pods failed"}},
		"Complete": {
			"It has succeeded when Kubernetes says so.",
			`{status: {startTime: "2030-04-01T09:00:00Z", completionTime: "2030-04-01T09:01:00Z", conditions: [{type: SuccessCriteriaMet, status: "True"}, {type: Complete, status: "True"}]}}`,
			State{Phase: Succeeded, Started: started, Finished: ended, Message: "has succeeded"},
		},
		"NotComplete":    {"A condition that is false says nothing.", `{status: {startTime: "2030-04-01T09:00:00Z", conditions: [{type: Complete, status: "False"}, {type: Failed, status: "Unknown"}]}}`, State{Phase: Running, Started: started, Message: "is running"}},
		"SucceededCount": {"Pods that succeeded do not make a Job that has.", `{status: {startTime: "2030-04-01T09:00:00Z", succeeded: 1, ready: 0}}`, State{Phase: Running, Started: started, Message: "is running"}},
		"AboutToSucceed": {"It is not over while its Pods end.", `{status: {startTime: "2030-04-01T09:00:00Z", conditions: [{type: SuccessCriteriaMet, status: "True"}]}}`, State{Phase: Running, Started: started, Message: "has succeeded, and waits for its Pods to end"}},
		"AboutToFail": {
			"Nor when it fails.",
			`{spec: {activeDeadlineSeconds: 600}, status: {startTime: "2030-04-01T09:00:00Z", conditions: [{type: FailureTarget, status: "True", reason: DeadlineExceeded}]}}`,
			State{Phase: Running, Started: started, Message: "fails, and waits for its Pods to end: it did not end within its timeout of 10m0s"},
		},
		"Deadline": {
			"The timeout is named.",
			`{spec: {activeDeadlineSeconds: 600}, status: {conditions: [{type: Failed, status: "True", reason: DeadlineExceeded, message: x, lastTransitionTime: "2030-04-01T09:01:00Z"}]}}`,
			State{Phase: Failed, Finished: ended, Message: "has failed: it did not end within its timeout of 10m0s"},
		},
		"Backoff":  {"How many failed is told.", `{status: {failed: 3, conditions: [{type: Failed, status: "True", reason: BackoffLimitExceeded}]}}`, State{Phase: Failed, Message: "has failed: 3 of its Pods failed, which is more than its backoffLimit allows"}},
		"OnePod":   {"One is enough.", `{status: {failed: 1, conditions: [{type: Failed, status: "True", reason: BackoffLimitExceeded}]}}`, State{Phase: Failed, Message: "has failed: its Pod failed"}},
		"Policy":   {"What else Kubernetes says is told as it is.", `{status: {conditions: [{type: Failed, status: "True", reason: PodFailurePolicy, message: "Container job\n failed"}]}}`, State{Phase: Failed, Message: "has failed: PodFailurePolicy: Container job failed"}},
		"NoReason": {"Also if it says nothing.", `{status: {conditions: [{type: Failed, status: "True"}]}}`, State{Phase: Failed, Message: "has failed: Kubernetes gives no reason"}},
		"Both":     {"A Job cannot do both; what comes first counts, as for Kubernetes.", `{status: {conditions: [{type: Failed, status: "True"}, {type: Complete, status: "True"}]}}`, State{Phase: Failed, Message: "has failed: Kubernetes gives no reason"}},
		"Deleting": {"One that is being deleted is not over.", `{metadata: {deletionTimestamp: "2030-04-01T09:01:00Z"}, status: {startTime: "2030-04-01T09:00:00Z"}}`, State{Phase: Running, Started: started, Message: "is being deleted"}},
		"Suspended": {
			"Nothing runs.", `{status: {conditions: [{type: Suspended, status: "True"}]}}`,
			State{Phase: Running, Message: "is suspended: whoever suspended it has to start it"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			u := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte(tc.job), &u.Object); err != nil {
				t.Fatal(err)
			}
			u.SetUID("u-1")
			tc.want.UID = "u-1"
			got, err := stateOf(u)
			if err != nil {
				t.Fatal(err)
			}
			for _, at := range []*time.Time{&got.Started, &got.Finished} {
				if !at.IsZero() {
					*at = at.UTC()
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\n-want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestStateOfWhatIsNoJob(t *testing.T) {
	u := &unstructured.Unstructured{Object: map[string]any{"status": "planted"}}
	if _, err := stateOf(u); err == nil {
		t.Error("want an error")
	}
}
