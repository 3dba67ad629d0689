package main

import (
	"bytes"
	"maps"
	"strings"
	"testing"
	"time"
)

func TestRequestsOfThePlaneAreNotCounted(t *testing.T) {
	text := `apiserver_request_total{code="200",dry_run="",group="apps",resource="deployments",subresource="",verb="APPLY"} 1000
apiserver_request_total{code="409",dry_run="",group="apps",resource="deployments",subresource="",verb="APPLY"} 1
apiserver_request_total{code="200",dry_run="All",group="apps",resource="deployments",subresource="",verb="APPLY"} 3
apiserver_request_total{code="200",dry_run="",group="apps",resource="deployments",subresource="status",verb="PUT"} 2000
apiserver_request_total{code="200",dry_run="",group="apps",resource="replicasets",subresource="",verb="POST"} 1000
apiserver_request_total{code="200",dry_run="",group="sengu.dev",resource="apps",subresource="status",verb="PATCH"} 5
apiserver_request_total{code="200",dry_run="",group="",resource="services",subresource="",verb="WATCH"} 2
apiserver_request_total{code="200",dry_run="",group="",resource="",subresource="/readyz",verb="GET"} 98
apiserver_longrunning_requests{group="",resource="services",subresource="",verb="WATCH"} 1
`
	got, err := parseRequests(bytes.NewBufferString(text))
	if err != nil {
		t.Fatal(err)
	}
	want := tally{"apply": 1001, "apply (dry run)": 3, "patch": 5, "watch": 3}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := want.minus(tally{"apply": 1001, "watch": 1}).String(); got != "apply (dry run) 3, patch 5, watch 2" {
		t.Errorf("minus: %s", got)
	}
}

func TestProcessFiles(t *testing.T) {
	stat := "12 (a b) c) S 1 12 12 0 -1 4194560 900 800 0 0 150 50 20 5 20 0 9 0 100 1000000 5000"
	if got, err := parseStat(stat); err != nil || got != 2250*time.Millisecond {
		t.Errorf("parseStat: %v, %v", got, err)
	}
	if _, err := parseStat("12 (a) S 1"); err == nil {
		t.Error("parseStat took a short line")
	}
	if got, err := parsePSS("00400000-7fff [rollup]\nRss:    300 kB\nPss:    200 kB\nPss_Dirty: 1 kB\n"); err != nil || got != 200<<10 {
		t.Errorf("parsePSS: %v, %v", got, err)
	}
	if _, err := parsePSS(strings.Repeat("x\n", 3)); err == nil {
		t.Error("parsePSS took a file without Pss")
	}
}
