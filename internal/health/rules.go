package health

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/ext"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/manifest"
)

// Rule judges objects of one kind by CEL expressions over self, the object. The first expression that is true
// decides, in the order degraded, suspended, progressing, healthy.
type Rule struct {
	Group       string `json:"group,omitempty" doc:"API group of the objects, such as example.com. Without it, every group."`
	Kind        string `json:"kind" doc:"Kind of the objects." required:"true"`
	Healthy     string `json:"healthy,omitempty" doc:"CEL expression over self that is true when the object does its work. If no other expression is true either, the object is Progressing."`
	Degraded    string `json:"degraded,omitempty" doc:"CEL expression over self that is true when the object has failed."`
	Progressing string `json:"progressing,omitempty" doc:"CEL expression over self that is true when the object is on its way."`
	Suspended   string `json:"suspended,omitempty" doc:"CEL expression over self that is true when the object waits for somebody to let it go on."`
	Message     string `json:"message,omitempty" doc:"CEL expression over self that gives the reason as text. A fixed text is written in quotes within the quotes of YAML."`
}

// Recorded returns rules as a status keeps them.
func Recorded(rules []Rule) []v1alpha1.HealthRule {
	if len(rules) == 0 {
		return nil
	}
	kept := make([]v1alpha1.HealthRule, 0, len(rules))
	for _, rule := range rules {
		kept = append(kept, v1alpha1.HealthRule(rule))
	}
	return kept
}

// Recalled returns the rules that [Recorded] was given.
func Recalled(kept []v1alpha1.HealthRule) []Rule {
	if len(kept) == 0 {
		return nil
	}
	rules := make([]Rule, 0, len(kept))
	for _, rule := range kept {
		rules = append(rules, Rule(rule))
	}
	return rules
}

const (
	// costLimit bounds the work of one evaluation, in CEL's units. A hundredth of it is plenty for a condition.
	costLimit = 500_000
	// maxExpression is the longest expression in bytes.
	maxExpression = 4096
)

// Rules are compiled rules. The zero value judges nothing.
type Rules struct {
	rules []compiled
}

type compiled struct {
	group, kind string
	verdicts    []verdict // in the order in which they are asked
	healthy     bool      // there is an expression for Healthy
	message     cel.Program
}

type verdict struct {
	name    string
	status  v1alpha1.HealthStatus
	program cel.Program
}

// environment is made once, because making it costs a millisecond.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		cel.Variable("self", cel.DynType),
		cel.OptionalTypes(),
		cel.CrossTypeNumericComparisons(true),
		cel.DefaultUTCTimeZone(true),
		ext.Strings(),
	)
})

// Compile compiles rules. Where several are for one kind, the last one counts. The error names the rule by its place
// and kind, and the expression that is wrong.
func Compile(rules []Rule) (Rules, error) {
	if len(rules) == 0 {
		return Rules{}, nil
	}
	env, err := environment()
	if err != nil {
		return Rules{}, fmt.Errorf("prepare health rules: %w", err)
	}
	var out Rules
	var problems []error
	for i, rule := range rules {
		c, err := compile(env, rule)
		if err != nil {
			problems = append(problems, fmt.Errorf("health rule %d (%s): %w", i+1, rule.name(), err))
			continue
		}
		out.rules = append(out.rules, c)
	}
	if len(problems) > 0 {
		return Rules{}, errors.Join(problems...)
	}
	return out, nil
}

func (r Rule) name() string {
	switch {
	case r.Kind == "":
		return "without a kind"
	case r.Group == "":
		return r.Kind
	default:
		return r.Kind + "." + r.Group
	}
}

func compile(env *cel.Env, rule Rule) (compiled, error) {
	c := compiled{group: rule.Group, kind: rule.Kind, healthy: rule.Healthy != ""}
	if rule.Kind == "" {
		return c, errors.New("kind is missing")
	}
	for _, v := range []struct {
		name, expression string
		status           v1alpha1.HealthStatus
	}{
		{"degraded", rule.Degraded, v1alpha1.Degraded},
		{"suspended", rule.Suspended, v1alpha1.Suspended},
		{"progressing", rule.Progressing, v1alpha1.Progressing},
		{"healthy", rule.Healthy, v1alpha1.Healthy},
	} {
		if v.expression == "" {
			continue
		}
		program, err := expression(env, v.expression, cel.BoolType)
		if err != nil {
			return c, fmt.Errorf("%s: %w", v.name, err)
		}
		c.verdicts = append(c.verdicts, verdict{v.name, v.status, program})
	}
	if len(c.verdicts) == 0 {
		return c, errors.New("it needs at least one of healthy, degraded, progressing and suspended")
	}
	if rule.Message != "" {
		program, err := expression(env, rule.Message, cel.StringType)
		if err != nil {
			return c, fmt.Errorf("message, which is a CEL expression too (a fixed text needs quotes of its own): %w", err)
		}
		c.message = program
	}
	return c, nil
}

func expression(env *cel.Env, text string, want *cel.Type) (cel.Program, error) {
	if len(text) > maxExpression {
		return nil, fmt.Errorf("the expression is longer than %d bytes", maxExpression)
	}
	ast, issues := env.Compile(text)
	if problems := issues.Errors(); len(problems) > 0 {
		first := problems[0]
		return nil, fmt.Errorf("line %d, column %d of the expression: %s", first.Location.Line(), first.Location.Column()+1, first.Message)
	}
	if got := ast.OutputType(); !got.IsExactType(want) && !got.IsExactType(cel.DynType) {
		return nil, fmt.Errorf("the expression gives %s, not %s", got, want)
	}
	program, err := env.Program(ast, cel.CostLimit(costLimit))
	if err != nil {
		return nil, fmt.Errorf("the expression cannot be compiled: %w", err)
	}
	return program, nil
}

// Of judges u by the rule for its kind. It is false if there is none, if u is being deleted, or if the rule has no
// answer: then [Of] judges. What cannot be evaluated is Unknown. An object whose controller has not seen its latest
// change is never Healthy. The values of a Secret are masked before an expression sees them.
func (r Rules) Of(u *unstructured.Unstructured) (Status, bool) {
	gvk := u.GroupVersionKind()
	o := object{u}
	for _, c := range slices.Backward(r.rules) {
		if c.kind != gvk.Kind || (c.group != "" && c.group != gvk.Group) {
			continue
		}
		if o.deleting() {
			return Status{}, false
		}
		s, ok := c.of(o)
		s.Message = oneLine(s.Message)
		return s, ok
	}
	return Status{}, false
}

func (c compiled) of(o object) (Status, bool) {
	self := map[string]any{"self": manifest.MaskSecret(o.Unstructured).Object}
	for _, v := range c.verdicts {
		out, _, err := v.program.Eval(self)
		if err != nil {
			return unknown("cannot be judged: the health rule for %s (%s) failed: %v", c.kind, v.name, err), true
		}
		yes, ok := out.Value().(bool)
		if !ok {
			return unknown("cannot be judged: the health rule for %s (%s) gave %s, not true or false", c.kind, v.name, out.Type().TypeName()), true
		}
		if !yes {
			continue
		}
		if v.status == v1alpha1.Healthy && o.stale() {
			return progressing(waitsForController), true
		}
		return Status{v.status, c.text(self, v.name)}, true
	}
	if c.healthy {
		return Status{v1alpha1.Progressing, c.text(self, "healthy")}, true
	}
	return Status{}, false
}

// text evaluates the message of a rule, of which a failure does not change the verdict.
func (c compiled) text(self map[string]any, name string) string {
	if c.message == nil {
		if name == "healthy" {
			return ""
		}
		return "is " + name + " by its health rule"
	}
	out, _, err := c.message.Eval(self)
	if err != nil {
		return fmt.Sprintf("is judged by its health rule, whose message failed: %v", err)
	}
	text, ok := out.Value().(string)
	if !ok {
		return "is judged by its health rule, whose message is not text"
	}
	return text
}
