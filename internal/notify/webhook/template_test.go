package webhook_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sengu-dev/sengu/internal/notify"
	"github.com/sengu-dev/sengu/internal/notify/webhook"
)

func TestTemplate(t *testing.T) {
	server, got := receiver(t, nil)
	tests := map[string]struct{ template, kind, want string }{
		"text": {
			`{{.Service}} in {{.Environment}}: {{.Kind}}{{if .Loud}}!{{end}} {{short .Revision}} {{.Time.Format "15:04"}}`, "text/plain",
			"checkout in staging: failed! 0123456 09:00",
		},
		"JSON":  {`{"text": {{json .Title}}}`, "", `{"text": "Say \"hello\" \u003cb\u003e"}`},
		"range": {`{{range .Images}}{{.Name}}:{{.Tag}} {{$.Service}}{{else}}none{{end}}`, "text/plain", "registry.example.com/checkout:1.2.3 checkout"},
		"with":  {`{{with .Committed}}{{.Format "2006"}}{{end}}{{len .Images}}{{if and .Loud (eq .Kind "failed")}}x{{end}}`, "text/plain", "20301x"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if err := tell(t, webhook.Options{URL: server.URL, Template: tc.template, ContentType: tc.kind, Allow: loopback}, event()); err != nil {
				t.Fatal(err)
			}
			if body := got()[len(got())-1].body; body != tc.want {
				t.Errorf("got %q, want %q", body, tc.want)
			}
		})
	}
}

func TestTemplatesThatAreRefused(t *testing.T) {
	tests := map[string]struct{ template, kind, want string }{
		"syntax":          {`{{.Title`, "text/plain", "template of the webhook: the template cannot be read: template: template:1: unclosed action"},
		"field":           {`{{.Titel}}`, "text/plain", `template of the webhook: the template does not work for every event: template: template:1:2: executing "template" at <.Titel>: can't evaluate field Titel in type webhook.Event`},
		"quotes":          {`{"text": "{{.Title}}"}`, "", `template of the webhook: the template does not work for every event: it gives no valid JSON: write {{json .Title}}, without quotes around it, instead of "{{.Title}}"`},
		"missing image":   {`{{(index .Images 0).Name}}`, "text/plain", "error calling index"},
		"missing time":    {`{{.Committed.Format "2006"}}`, "text/plain", "nil *Time pointer"},
		"function":        {`{{printf "%1000000000d" 1}}`, "text/plain", "the function printf is not allowed"},
		"call":            {`{{call .Title}}`, "text/plain", "the function call is not allowed"},
		"in a pipe":       {`{{.Title | urlquery}}`, "text/plain", "the function urlquery is not allowed"},
		"in parentheses":  {`{{(print .Title).X}}`, "text/plain", "the function print is not allowed"},
		"in an else":      {`{{if .Loud}}{{else}}{{with .Title}}{{html .}}{{end}}{{end}}`, "text/plain", "the function html is not allowed"},
		"long range":      {`{{range 1000000000}}{{end}}`, "text/plain", "range is for .Images only"},
		"range of a list": {`{{range len .Images}}{{end}}`, "text/plain", "range is for .Images only"},
		"range of itself": {`{{$x := .Images}}{{range $x}}{{end}}`, "text/plain", "range is for .Images only"},
		"nested":          {`{{range .Images}}{{range $.Images}}{{end}}{{end}}`, "text/plain", "a range may not stand in another"},
		"recursion":       {`{{define "a"}}{{template "a"}}{{template "a"}}{{end}}{{template "a"}}`, "text/plain", "the template may not define others"},
		"itself":          {`{{template "template"}}{{template "template"}}`, "text/plain", "it may not call another template"},
		"growing":         {`{{$x := json .Title}}` + strings.Repeat(`{{$x = json $x}}`, 60) + `{{$x}}`, "text/plain", "it gives more than 256 KiB"},
		"long":            {strings.Repeat("x", 20<<10), "text/plain", "the template is longer than 16 KiB"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, err := webhook.New(webhook.Options{URL: "https://example.com", Template: tc.template, ContentType: tc.kind})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
			if spent := time.Since(start); spent > 5*time.Second {
				t.Errorf("it took %s to refuse it", spent)
			}
		})
	}
}

// TestTemplateThatFailsLater is taken at first and fails for one event, which is not tried again.
func TestTemplateThatFailsLater(t *testing.T) {
	server, got := receiver(t, nil)
	e := event()
	e.Service = "other"
	err := tell(t, webhook.Options{URL: server.URL, Template: `{{if eq .Service "other"}}{{index .Images 7}}{{end}}x`, ContentType: "text/plain", Allow: loopback}, e)
	var refused *notify.RefusedError
	if !errors.As(err, &refused) || len(got()) > 0 {
		t.Errorf("got %v and %d requests", err, len(got()))
	}
}

func FuzzTemplate(f *testing.F) {
	for _, s := range []string{`{{json .}}`, `{{range .Images}}{{.Name}}{{end}}`, `{{with $x := .Title}}{{$x}}{{end}}`, `{{define "x"}}{{end}}`, `{{.Time.Format .Title}}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		start := time.Now()
		_, err := webhook.New(webhook.Options{URL: "https://example.com", Template: text, ContentType: "text/plain"})
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("not one line: %q", err)
		}
		if spent := time.Since(start); spent > 5*time.Second {
			t.Errorf("%s for %q", spent, text)
		}
	})
}
