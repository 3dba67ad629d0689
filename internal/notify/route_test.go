package notify_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/notify"
)

func TestFilter(t *testing.T) {
	failed := history.Event{
		Kind: history.Failed, Fleet: "shop", Service: "checkout", Environment: "production", Release: "checkout-1",
		Title: "Round the cart", By: "sengu", Images: []history.Image{{Name: "registry.example.com/checkout", Tag: "1.2.3"}},
	}
	whole := failed
	whole.Environment, whole.Kind = "", history.Superseded
	tests := map[string]struct {
		route notify.Route
		event history.Event
		want  notify.Verdict
		fails bool
	}{
		"no filter":             {event: failed, want: notify.Tell},
		"fleet":                 {route: notify.Route{Fleets: []string{"shop"}}, event: failed, want: notify.Tell},
		"another fleet":         {route: notify.Route{Fleets: []string{"bank"}}, event: failed, want: notify.Drop},
		"service by pattern":    {route: notify.Route{Services: []string{"cart", "check*"}}, event: failed, want: notify.Tell},
		"another service":       {route: notify.Route{Services: []string{"check"}}, event: failed, want: notify.Drop},
		"environment":           {route: notify.Route{Environments: []string{"prod*"}}, event: failed, want: notify.Tell},
		"another environment":   {route: notify.Route{Environments: []string{"staging"}}, event: failed, want: notify.Quiet},
		"no environment":        {route: notify.Route{Environments: []string{"staging"}}, event: whole, want: notify.Tell},
		"kind":                  {route: notify.Route{Events: []history.Kind{history.Failed}}, event: failed, want: notify.Tell},
		"another kind":          {route: notify.Route{Events: []history.Kind{history.Done}}, event: failed, want: notify.Quiet},
		"expression":            {route: notify.Route{If: `event.kind == "failed" && event.service.startsWith("check")`}, event: failed, want: notify.Tell},
		"expression, no":        {route: notify.Route{If: `event.loud`}, event: failed, want: notify.Quiet},
		"expression on a list":  {route: notify.Route{If: `event.images.exists(i, i.tag == "1.2.3")`}, event: failed, want: notify.Tell},
		"expression on text":    {route: notify.Route{If: `event.title.lowerAscii().split(" ")[0].trim().substring(1) == "ound"`}, event: failed, want: notify.Tell},
		"expression on a time":  {route: notify.Route{If: `event.time.getFullYear("UTC") > 2000`}, event: failed, want: notify.Quiet},
		"expression that fails": {route: notify.Route{If: `event.images[0].tag == ""`}, event: whole, want: notify.Quiet},
		"expression that cannot be": {
			route: notify.Route{If: `event.images[5].tag == ""`}, event: failed, want: notify.Tell, fails: true,
		},
		"expression that never ends": {
			route: notify.Route{If: `[1,2,3,4,5,6,7,8,9,10].all(a, [1,2,3,4,5,6,7,8,9,10].all(b, [1,2,3,4,5,6,7,8,9,10].all(c, [1,2,3,4,5,6,7,8,9,10].all(d, [1,2,3,4,5,6,7,8,9,10].all(e, event.title != string(a + b + c + d + e))))))`},
			event: failed, want: notify.Tell, fails: true,
		},
		"all of them": {
			route: notify.Route{Fleets: []string{"shop"}, Services: []string{"*"}, Environments: []string{"production"}, Events: []history.Kind{history.Failed}, If: `event.by == "sengu"`},
			event: failed, want: notify.Tell,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			tc.route.Name, tc.route.Sink = "r", notify.WebhookSink
			filters, err := notify.Compile([]notify.Route{tc.route})
			if err != nil {
				t.Fatal(err)
			}
			got, err := filters[0].Of(tc.event)
			if got != tc.want || (err != nil) != tc.fails {
				t.Errorf("got %v, %v; want %v", got, err, tc.want)
			}
		})
	}
}

func TestCompileSaysWhatIsWrong(t *testing.T) {
	tests := map[string]struct {
		routes []notify.Route
		want   []string
	}{
		"good": {routes: []notify.Route{{Name: "a", Sink: "slack"}, {Name: "b", Sink: "deployment"}}},
		"sink": {
			routes: []notify.Route{{Name: "a", Sink: "mail"}},
			want:   []string{`notification a: sink "mail" is unknown: write one of slack, webhook, deployment`},
		},
		"name": {
			routes: []notify.Route{{Name: "No name", Sink: "slack"}},
			want:   []string{`notifications[0]: name must be of at most 63 small letters, digits and hyphens, with a letter or digit at both ends`},
		},
		"twice": {
			routes: []notify.Route{{Name: "a", Sink: "slack"}, {Name: "a", Sink: "slack"}},
			want:   []string{`notification a: an earlier route has the same name: give each its own`},
		},
		"pattern": {
			routes: []notify.Route{{Name: "a", Sink: "slack", Services: []string{"[x"}, Environments: []string{""}}},
			want: []string{
				`notification a: services: "[x" is not a pattern: write a name, or part of one with * ? and [a-z]`,
				`notification a: environments: "" is not a pattern: write a name, or part of one with * ? and [a-z]`,
			},
		},
		"unknown field": {
			routes: []notify.Route{{Name: "a", Sink: "slack", If: `event.knd == "failed"`}},
			want:   []string{`notification a: if: line 1, column 6 of the expression: undefined field 'knd'`},
		},
		"wrong type": {
			routes: []notify.Route{{Name: "a", Sink: "slack", If: `event.kind`}},
			want:   []string{`notification a: if: the expression gives string, not true or false`},
		},
		"no expression": {
			routes: []notify.Route{{Name: "a", Sink: "slack", If: `event.kind ==`}},
			want:   []string{`notification a: if: line 1, column 14 of the expression: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}`},
		},
		"replace": {
			routes: []notify.Route{{Name: "a", Sink: "slack", If: `"a".replace("", "b") == "bab"`}},
			want:   []string{`notification a: if: line 1, column 12 of the expression: undeclared reference to 'replace' (in container '')`},
		},
		"join": {
			routes: []notify.Route{{Name: "a", Sink: "slack", If: `["a"].join("b") == "a"`}},
			want:   []string{`notification a: if: line 1, column 11 of the expression: undeclared reference to 'join' (in container '')`},
		},
		"format": {
			routes: []notify.Route{{Name: "a", Sink: "slack", If: `"%.1000000000f".format([1.0]) == "a"`}},
			want:   []string{`notification a: if: line 1, column 23 of the expression: undeclared reference to 'format' (in container '')`},
		},
		"long expression": {
			routes: []notify.Route{{Name: "a", Sink: "slack", If: strings.Repeat("x", 5000)}},
			want:   []string{`notification a: if: the expression is longer than 4096 bytes`},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := notify.Compile(tc.routes)
			var got []string
			if err != nil {
				got = strings.Split(err.Error(), "\n")
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if _, err := notify.Compile([]notify.Route{{Name: "a", Sink: "slack", Events: []history.Kind{"explode"}}}); err == nil || !strings.Contains(err.Error(), `events: "explode" is no kind of event: write one of created, waiting`) {
		t.Errorf("got %v", err)
	}
	if _, err := notify.Compile(make([]notify.Route, 100)); err == nil {
		t.Error("a hundred routes were taken")
	}
}

// TestKindsAreComplete compares the list with the constants that package history declares.
func TestKindsAreComplete(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../history/event.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var declared []history.Kind
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); ok && typ.Name == "Kind" {
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			declared = append(declared, history.Kind(text))
		}
		return true
	})
	known := notify.Kinds()
	slices.Sort(declared)
	slices.Sort(known)
	if diff := cmp.Diff(declared, known); diff != "" || len(declared) < 10 {
		t.Errorf("the kinds of history and those of notify differ:\n%s", diff)
	}
}

func FuzzCompile(f *testing.F) {
	for _, s := range []string{`event.loud`, `event.kind in ["failed"]`, `event.title.matches("(a+)+$")`, `"`, `has(event.why)`} {
		f.Add(s, "a*")
	}
	f.Fuzz(func(t *testing.T, expression, pattern string) {
		filters, err := notify.Compile([]notify.Route{{Name: "a", Sink: "slack", Services: []string{pattern}, If: expression}})
		if err != nil {
			if strings.Contains(err.Error(), "\n") && strings.Count(err.Error(), "notification a: ") < 2 {
				t.Errorf("the sentence has several lines: %q", err)
			}
			return
		}
		for _, e := range events(2) {
			_, _ = filters[0].Of(e)
		}
	})
}

func TestText(t *testing.T) {
	tests := map[string]struct {
		in   string
		most int
		want string
	}{
		"short":       {"a b", 3, "a b"},
		"cut":         {"abcd", 3, "ab…"},
		"lines":       {" a\r\n\tb\x00\x1b[31mc  ", 100, "a b [31mc"},
		"direction":   {"abc\u202edef\u2069\u200f", 100, "abcdef"},
		"bad UTF-8":   {"a\xffb", 100, "a\ufffdb"},
		"wide":        {"日本語", 2, "日…"},
		"space ahead": {"ab cd", 4, "ab…"},
		"nothing":     {"abc", 0, "…"},
		"joined":      {"👩\u200d🚀", 10, "👩\u200d🚀"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := notify.Text(tc.in, tc.most); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
