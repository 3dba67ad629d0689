package kube

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

func TestFrames(t *testing.T) {
	const object = `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a","namespace":"n","uid":"u","resourceVersion":"7"},"data":{"k":"}\n{"}}`
	whole := Event{Type: Modified, Namespace: "n", Name: "a", UID: "u", Version: "7"}
	cases := map[string]struct {
		reason string
		stream string
		want   []Event
		end    string
	}{
		"Lines": {
			reason: "An API server sends a line for each event.",
			stream: `{"type":"MODIFIED","object":` + object + "}\n" + `{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9"}}}` + "\n",
			want:   []Event{whole, {Type: Bookmark, Version: "9"}},
			end:    "EOF",
		},
		"SpreadOut": {
			reason: "JSON may be spread over lines, with blank ones between, and the last may have no end.",
			stream: "\n{\n \"type\": \"MODIFIED\",\n\n \"object\": " + object + "\n}\n\n\n{\"type\":\"MODIFIED\",\"object\":" + object + "}",
			want:   []Event{whole, whole},
			end:    "EOF",
		},
		"OtherOrder": {
			reason: "The order of keys means nothing.",
			stream: `{"object":` + object + `,"type":"MODIFIED"}` + "\n",
			want:   []Event{whole},
			end:    "EOF",
		},
		"Long": {
			reason: "An event may be longer than the buffer.",
			stream: `{"type":"MODIFIED","object":{"data":"` + strings.Repeat("x", 200<<10) + `","metadata":{"name":"a","namespace":"n","uid":"u","resourceVersion":"7"}}}` + "\n",
			want:   []Event{whole},
			end:    "EOF",
		},
		"CutOff":  {reason: "Half an event is no event.", stream: `{"type":"MODIFIED","obj`, end: "EOF"},
		"NotJSON": {reason: "What is no JSON is not read on.", stream: "<html>\n", end: "cannot be read"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := frames{reader: bufio.NewReaderSize(strings.NewReader(tc.stream), 64<<10)}
			for i := 0; ; i++ {
				e, err := f.event()
				if err != nil {
					if i != len(tc.want) || !strings.Contains(err.Error(), tc.end) {
						t.Errorf("%s\nthe stream ended after %d events with %v, want %d and %s", tc.reason, i, err, len(tc.want), tc.end)
					}
					return
				}
				if i >= len(tc.want) {
					t.Fatalf("%s\none event too many: %+v", tc.reason, e)
				}
				if e.Type == Modified && e.Size() < 200<<10 {
					if u, err := e.Object(); err != nil || u.GetName() != "a" || u.Object["data"].(map[string]any)["k"] != "}\n{" {
						t.Errorf("%s\nthe object is not what was sent: %v, %v", tc.reason, u, err)
					}
				}
				e.frame = nil
				if want := tc.want[i]; e.Type != want.Type || e.Name != want.Name || e.Namespace != want.Namespace || e.UID != want.UID || e.Version != want.Version {
					t.Errorf("%s\nevent %d: got %+v, want %+v", tc.reason, i, e, want)
				}
			}
		})
	}
}

func TestFramesEndWithTheServersError(t *testing.T) {
	f := frames{reader: bufio.NewReader(strings.NewReader(`{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}` + "\n"))}
	if _, err := f.event(); !apierrors.IsResourceExpired(err) {
		t.Errorf("got %v, want that the version is too old", err)
	}
	if _, err := f.event(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want the end", err)
	}
}
