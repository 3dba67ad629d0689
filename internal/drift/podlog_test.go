package drift

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	"github.com/sengu-dev/sengu/internal/health"
	"github.com/sengu-dev/sengu/internal/kube"
)

func TestLastLine(t *testing.T) {
	tests := map[string]struct{ log, want string }{
		"the last that holds anything": {"one\ntwo\n\n  \n", "two"},
		"nothing":                      {"\n\n", ""},
		"control characters":           {"a\x1b[31mred\x00\u202eb\n", "a [31mred b"},
		"not UTF-8":                    {"a\xffb", "a�b"},
		"long":                         {strings.Repeat("x", 1000), strings.Repeat("x", maxLine-1) + "…"},
		"a URL with a password":        {"dial postgres://shop:hunter2@db:5432/shop failed", "dial postgres://***@db:5432/shop failed"},
		"a named password":             {`config {"db_password": "hunter2", "port": 1}`, `config {"db_password": ***, "port": 1}`},
		"an assignment":                {"API_KEY=hunter2 rejected", "API_KEY=*** rejected"},
		"a bearer token":               {"Authorization header Bearer abcdef0123456789 refused", "Authorization header Bearer *** refused"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := lastLine([]byte(test.log)); got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

func TestLogIsFetchedOnceForEachRun(t *testing.T) {
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path+"?"+r.URL.RawQuery)
		_, _ = w.Write([]byte("starting\npanic: no database\n"))
	}))
	defer server.Close()
	conn, err := kube.Connect(&rest.Config{Host: server.URL}, kube.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	h := &podWatch{namespace: "shop", ctx: context.Background(), all: &podWatches{w: &Watcher{conn: conn}}}
	trouble := health.Trouble{Namespace: "shop", Pod: "a-1", Container: "app", Reason: "CrashLoopBackOff", Log: true, Previous: true}
	pods := []corev1.Pod{{}}
	pods[0].Name = "a-1"
	pods[0].Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", RestartCount: 1}}
	for range 3 {
		if got := h.logOf(trouble, pods); got != `; it last logged "panic: no database"` {
			t.Fatalf("got %s", got)
		}
	}
	pods[0].Status.ContainerStatuses[0].RestartCount = 2
	h.logOf(trouble, pods)
	if len(asked) != 2 || !strings.HasPrefix(asked[0], "/api/v1/namespaces/shop/pods/a-1/log?") ||
		!strings.Contains(asked[0], "previous=true") || !strings.Contains(asked[0], "limitBytes=8192") {
		t.Errorf("asked %v", asked)
	}
	trouble.Log = false
	if h.logOf(trouble, pods) != "" || len(asked) != 2 {
		t.Error("a log that tells nothing is not fetched")
	}
}
