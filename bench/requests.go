package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// The API server counts its requests by verb and resource but not by who sent them, and a proxy that could tell would
// cost CPU on the measured path. What the control plane itself sends is told apart by this: only these resources are
// counted, which its controllers watch but do not otherwise ask for, and writes by PUT to the four kinds of the workload are left
// out, for that is how its controllers write and Sengu does not. What the benchmark itself sent is subtracted. The floor
// is counted in the same way, and must come out as nothing.
var countedResources = []string{"apps.sengu.dev", "releases.sengu.dev", "fleets.sengu.dev", "clusters.sengu.dev", "events.events.k8s.io", "leases.coordination.k8s.io", "secrets."}

// workloadResources are the four kinds of the workload.
var workloadResources = []string{"serviceaccounts.", "services.", "deployments.apps", "ingresses.networking.k8s.io"}

// verbs of the API by what the API server calls them. Other verbs are not counted.
var verbs = map[string]string{
	"APPLY": "apply", "PATCH": "patch", "POST": "create", "PUT": "update", "GET": "get", "LIST": "list", "WATCH": "watch", "DELETE": "delete",
}

// tally is a number of requests by verb.
type tally map[string]int64

// minus returns what came after before.
func (t tally) minus(before tally) tally {
	d := maps.Clone(t)
	for verb, n := range before {
		d[verb] -= n
	}
	maps.DeleteFunc(d, func(_ string, n int64) bool { return n == 0 })
	return d
}

func (t tally) String() string {
	parts := make([]string, 0, len(t))
	for _, verb := range slices.Sorted(maps.Keys(t)) {
		parts = append(parts, fmt.Sprintf("%s %d", verb, t[verb]))
	}
	return strings.Join(parts, ", ")
}

// requests returns how many requests others than the benchmark have sent so far.
func (c *client) requests(ctx context.Context) (tally, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	body, err := c.open(ctx, http.MethodGet, "/metrics", "", nil)
	if err != nil {
		return nil, fmt.Errorf("read the API server's metrics: %w", err)
	}
	defer func() { _ = body.Close() }() // only read
	var wanted bytes.Buffer
	lines := bufio.NewScanner(body)
	for lines.Scan() {
		// The whole is megabytes.
		if line := lines.Bytes(); bytes.HasPrefix(line, []byte("apiserver_request_total{")) || bytes.HasPrefix(line, []byte("apiserver_longrunning_requests{")) {
			wanted.Write(line)
			wanted.WriteByte('\n')
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the API server's metrics: %w", err)
	}
	t, err := parseRequests(&wanted)
	if err != nil {
		return nil, err
	}
	return t.minus(c.counted()), nil
}

// parseRequests sums the counters up. A request that the API server refused counts like any other; a watch counts from
// its beginning.
func parseRequests(text *bytes.Buffer) (tally, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(text)
	if err != nil {
		return nil, fmt.Errorf("parse the API server's metrics: %w", err)
	}
	t := tally{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			label := map[string]string{}
			for _, l := range m.GetLabel() {
				label[l.GetName()] = l.GetValue()
			}
			verb, ours := verbs[label["verb"]], counts(label)
			if verb == "" || !ours {
				continue
			}
			if label["dry_run"] != "" {
				verb += " (dry run)"
			}
			// Without a TYPE line a sample is untyped.
			t[verb] += int64(m.GetUntyped().GetValue())
		}
	}
	return t, nil
}

// counts reports whether requests with these labels are counted.
func counts(label map[string]string) bool {
	resource := label["resource"] + "." + label["group"]
	if slices.Contains(workloadResources, resource) {
		return label["verb"] != "PUT"
	}
	return slices.Contains(countedResources, resource)
}
