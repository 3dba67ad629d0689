package cli_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/calendar"
	"github.com/sengu-dev/sengu/internal/delivery"
	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/notify"
	"github.com/sengu-dev/sengu/internal/notify/webhook"
)

// TestGuide checks the examples of the guides: the objects with an API server, sengu.yaml with its parser, and the
// windows of docs/releases.md with that of calendars.
func TestGuide(t *testing.T) {
	p, _ := installed(t)
	p.guide(t, "forges.md", 3)
	p.guide(t, "images.md", 2)
	p.guide(t, "promotion.md", 2)
	text := p.guide(t, "releases.md", 5)
	var windows []string
	for line := range strings.Lines(text) {
		if rule := strings.TrimSpace(line); strings.HasPrefix(line, "    allow ") || strings.HasPrefix(line, "    deny ") {
			windows = append(windows, rule)
		}
	}
	if _, err := calendar.Parse(windows); err != nil || len(windows) == 0 {
		t.Errorf("windows %q: %v", windows, err)
	}
}

// guide checks the examples of a guide, of which there are some at least, and returns its text.
func (p planes) guide(t *testing.T, file string, least int) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", file))
	if err != nil {
		t.Fatal(err)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "guide-"}}
	if err := p.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	examples := 0
	blocks := strings.Split(string(text), "```")
	for i := 1; i < len(blocks); i += 2 {
		example, isYAML := strings.CutPrefix(blocks[i], "yaml\n")
		if !isYAML {
			continue
		}
		for document := range strings.SplitSeq(example, "\n---\n") {
			examples++
			p.guided(t, namespace.Name, document)
		}
	}
	if examples < least {
		t.Errorf("only %d examples found in %s", examples, file)
	}
	return string(text)
}

// TestGuideOfNotifications checks the examples of docs/notifications.md: the objects with an API server, the routes and the
// template with what reads them, and that the JSON has the fields that are sent.
func TestGuideOfNotifications(t *testing.T) {
	p, _ := installed(t)
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "notifications.md"))
	if err != nil {
		t.Fatal(err)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "guide-"}}
	if err := p.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	routes := 0
	blocks := strings.Split(string(text), "```")
	for i := 1; i < len(blocks); i += 2 {
		if example, ok := strings.CutPrefix(blocks[i], "json\n"); ok {
			sent(t, example)
		}
		example, ok := strings.CutPrefix(blocks[i], "yaml\n")
		if !ok {
			continue
		}
		p.guided(t, namespace.Name, example)
		var fleet v1alpha1.Fleet
		if strings.Contains(example, "kind: Fleet") {
			if err := yaml.Unmarshal([]byte(example), &fleet); err != nil {
				t.Fatal(err)
			}
		}
		for _, n := range fleet.Spec.Notifications {
			routes++
			route := notify.Route{Name: n.Name, Sink: notify.WebhookSink, Services: n.Services, Environments: n.Environments, If: n.If}
			for _, kind := range n.Events {
				route.Events = append(route.Events, history.Kind(kind))
			}
			if _, err := notify.Compile([]notify.Route{route}); err != nil {
				t.Error(err)
			}
			if n.Webhook == nil {
				continue
			}
			if _, err := webhook.New(webhook.Options{URL: "https://hooks.example.com", Template: n.Webhook.Template}); err != nil {
				t.Error(err)
			}
		}
	}
	if routes < 4 {
		t.Errorf("only %d routes found", routes)
	}
	for _, kind := range notify.Kinds() {
		if !strings.Contains(string(text), "`"+string(kind)+"`") {
			t.Errorf("the kind %s is not told of", kind)
		}
	}
}

// sent checks an example of what a webhook sends.
func sent(t *testing.T, example string) {
	t.Helper()
	var body struct{ Data map[string]any }
	if err := json.Unmarshal([]byte(example), &body); err != nil {
		t.Errorf("%v in\n%s", err, example)
	}
	data, err := json.Marshal(webhook.Event{Images: []webhook.Image{}})
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(fields)), slices.Sorted(maps.Keys(body.Data))); diff != "" {
		t.Errorf("the fields differ: %s", diff)
	}
}

// guided checks one example.
func (p planes) guided(t *testing.T, namespace, document string) {
	t.Helper()
	if strings.Contains(document, "kind: Delivery") {
		if _, err := delivery.Parse("apps/checkout/sengu.yaml", []byte(document)); err != nil {
			t.Errorf("%v in\n%s", err, document)
		}
		return
	}
	var u unstructured.Unstructured
	if err := yaml.Unmarshal([]byte(document), &u.Object); err != nil {
		t.Errorf("%v in\n%s", err, document)
		return
	}
	u.SetNamespace(namespace)
	// Strictly, so that a field that does not exist is an error.
	body, err := u.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	strict := client.WithFieldValidation(p.Client, metav1.FieldValidationStrict)
	if err := strict.Patch(t.Context(), &u, client.RawPatch(types.ApplyPatchType, body), client.FieldOwner("guide"), client.DryRunAll); err != nil {
		t.Errorf("%v in\n%s", err, document)
	}
	var fleet v1alpha1.Fleet
	if u.GetKind() != "Fleet" {
		return
	}
	if err := yaml.UnmarshalStrict([]byte(document), &fleet); err != nil {
		t.Errorf("%v in\n%s", err, document)
	}
	for _, env := range fleet.Spec.Environments {
		if _, err := calendar.Parse(env.Windows); err != nil {
			t.Errorf("windows of %s: %v", env.Name, err)
		}
	}
}
