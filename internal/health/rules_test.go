package health

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRules(t *testing.T) {
	database := func(rest string) string {
		return "{apiVersion: example.com/v1, kind: Database, metadata: {name: a, generation: 2" + rest + "}"
	}
	full := Rule{
		Group: "example.com", Kind: "Database",
		Healthy: "self.status.phase == 'Ready'", Degraded: "self.status.phase == 'Failed'",
		Suspended: "has(self.spec) && self.spec.paused", Progressing: "self.status.phase == 'Making'",
		Message: "'is ' + self.status.phase",
	}
	type want struct {
		Status Status
		OK     bool
	}
	cases := map[string]struct {
		reason string
		rules  []Rule
		given  string
		want   want
	}{
		"None":        {"Without a rule there is no answer.", nil, database("}, status: {phase: Ready}"), want{}},
		"OtherKind":   {"A rule is for its kind.", []Rule{{Group: "example.org", Kind: "Database", Healthy: "true"}, {Kind: "Disk", Healthy: "true"}}, database("}"), want{}},
		"Healthy":     {"Healthy.", []Rule{full}, database("}, status: {phase: Ready}"), want{Status{ok, "is Ready"}, true}},
		"Degraded":    {"Degraded goes before the others.", []Rule{full}, database("}, spec: {paused: true}, status: {phase: Failed}"), want{Status{bad, "is Failed"}, true}},
		"Suspended":   {"Then suspended.", []Rule{full}, database("}, spec: {paused: true}, status: {phase: Ready}"), want{Status{susp, "is Ready"}, true}},
		"Progressing": {"Then progressing.", []Rule{full}, database("}, status: {phase: Making}"), want{Status{prog, "is Making"}, true}},
		"Neither":     {"What is not healthy is on its way.", []Rule{full}, database("}, status: {phase: Else}"), want{Status{prog, "is Else"}, true}},
		"NoAnswer":    {"A rule that only knows what is degraded leaves the rest to others.", []Rule{{Kind: "Database", Degraded: "self.status.phase == 'Failed'"}}, database("}, status: {phase: Ready}"), want{}},
		"NoMessage":   {"Without a message.", []Rule{{Kind: "Database", Degraded: "true"}}, database("}"), want{Status{bad, "is degraded by its health rule"}, true}},
		"Last":        {"The last rule counts.", []Rule{full, {Kind: "Database", Healthy: "true"}}, database("}"), want{Status{ok, ""}, true}},
		"Stale":       {"Healthy of an earlier generation is not healthy.", []Rule{full}, database("}, status: {phase: Ready, observedGeneration: 1}"), want{Status{prog, waitsForController}, true}},
		"Deleting":    {"What is being deleted is judged by others.", []Rule{full}, database(", deletionTimestamp: '2026-01-05T08:00:00Z'}, status: {phase: Ready}"), want{}},
		"Error":       {"What cannot be evaluated is unknown.", []Rule{full}, database("}"), want{Status{unkn, "cannot be judged: the health rule for Database (degraded) failed: no such key: status"}, true}},
		"Optional":    {"Fields may be asked for that are not there.", []Rule{{Kind: "Database", Healthy: "self.?status.?phase.orValue('') == 'Ready'"}}, database("}"), want{Status{prog, ""}, true}},
		"NotBool":     {"Neither true nor false is unknown.", []Rule{{Kind: "Database", Healthy: "self.status.phase"}}, database("}, status: {phase: Ready}"), want{Status{unkn, "cannot be judged: the health rule for Database (healthy) gave string, not true or false"}, true}},
		"BadMessage":  {"A message that fails changes no verdict.", []Rule{{Kind: "Database", Degraded: "true", Message: "self.status.phase"}}, database("}"), want{Status{bad, "is judged by its health rule, whose message failed: no such key: status"}, true}},
		"Numbers":     {"Numbers are compared across types.", []Rule{{Kind: "Database", Healthy: "self.status.ready >= 1.5 && self.status.ready == 2"}}, database("}, status: {ready: 2}"), want{Status{ok, ""}, true}},
		"Conditions":  {"Conditions are a list.", []Rule{{Kind: "Database", Healthy: "self.status.conditions.exists(c, c.type == 'Up' && c.status == 'True')", Message: "self.status.conditions.map(c, c.type).join(', ')"}}, database("}, status: {conditions: [{type: Up, status: 'True'}]}"), want{Status{ok, "Up"}, true}},
		"Secret":      {"Values of a Secret are masked.", []Rule{{Kind: "Secret", Degraded: "true", Message: "self.data.password"}}, "{apiVersion: v1, kind: Secret, metadata: {name: a}, data: {password: cGxhbnRlZA==}}", want{Status{bad, "***"}, true}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			rules, err := Compile(tc.rules)
			if err != nil {
				t.Fatal(err)
			}
			s, ok := rules.Of(parse(t, tc.given))
			if diff := cmp.Diff(tc.want, want{s, ok}); diff != "" {
				t.Errorf("%s\nOf(...): -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestRulesCostLimit(t *testing.T) {
	const four = "self.l.all(a, self.l.all(b, self.l.all(c, self.l.all(d, a + b + c + d >= 0))))"
	rules, err := Compile([]Rule{{Kind: "Database", Healthy: four}})
	if err != nil {
		t.Fatal(err)
	}
	numbers := strings.TrimSuffix(strings.Repeat("1, ", 100), ", ")
	s, ok := rules.Of(parse(t, "{apiVersion: example.com/v1, kind: Database, metadata: {name: a}, l: ["+numbers+"]}"))
	if !ok || s.Status != unkn || !strings.Contains(s.Message, "cost limit exceeded") {
		t.Errorf("Of(...) of an expensive expression = %v, %v", s, ok)
	}
}

func TestCompileRefuses(t *testing.T) {
	cases := map[string]struct {
		rules []Rule
		want  string
	}{
		"NoKind":      {[]Rule{{Healthy: "true"}}, "health rule 1 (without a kind): kind is missing"},
		"Nothing":     {[]Rule{{Kind: "A"}}, "health rule 1 (A): it needs at least one of healthy, degraded, progressing and suspended"},
		"Undeclared":  {[]Rule{{Kind: "A", Healthy: "true"}, {Group: "b", Kind: "B", Degraded: "object.x"}}, "health rule 2 (B.b): degraded: line 1, column 1 of the expression: undeclared reference to 'object' (in container '')"},
		"Type":        {[]Rule{{Kind: "A", Healthy: "1"}}, "health rule 1 (A): healthy: the expression gives int, not bool"},
		"Message":     {[]Rule{{Kind: "A", Healthy: "true", Message: "waits"}}, "health rule 1 (A): message, which is a CEL expression too (a fixed text needs quotes of its own): line 1, column 1 of the expression: undeclared reference to 'waits' (in container '')"},
		"MessageType": {[]Rule{{Kind: "A", Healthy: "true", Message: "true"}}, "health rule 1 (A): message, which is a CEL expression too (a fixed text needs quotes of its own): the expression gives bool, not string"},
		"Long":        {[]Rule{{Kind: "A", Healthy: strings.Repeat("!", 5000) + "true"}}, "health rule 1 (A): healthy: the expression is longer than 4096 bytes"},
		"Two":         {[]Rule{{Kind: "A"}, {Kind: "B"}}, "health rule 1 (A): it needs at least one of healthy, degraded, progressing and suspended\nhealth rule 2 (B): it needs at least one of healthy, degraded, progressing and suspended"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Compile(tc.rules)
			if err == nil {
				t.Fatal("Compile(...) has no error")
			}
			if diff := cmp.Diff(tc.want, err.Error()); diff != "" {
				t.Errorf("Compile(...): -want, +got:\n%s", diff)
			}
		})
	}
}

func BenchmarkRules(b *testing.B) {
	rules, err := Compile([]Rule{{Kind: "Database", Healthy: "self.status.conditions.exists(c, c.type == 'Up' && c.status == 'True')"}})
	if err != nil {
		b.Fatal(err)
	}
	u := parse(b, "{apiVersion: example.com/v1, kind: Database, metadata: {name: a}, status: {conditions: [{type: Up, status: 'True'}]}}")
	b.ReportAllocs()
	for b.Loop() {
		rules.Of(u)
	}
}
