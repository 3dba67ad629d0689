package notify

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/ext"

	"github.com/sengu-dev/sengu/internal/history"
)

const (
	// costLimit bounds the work of one evaluation, in CEL's units. A hundredth of it is plenty for a filter.
	costLimit = 50_000
	// maxExpression is the longest expression in bytes.
	maxExpression = 4096
)

// Event is what an expression sees as event: a history.Event under the names of its JSON.
type Event struct {
	Key         string    `cel:"key"`
	Time        time.Time `cel:"time"`
	Kind        string    `cel:"kind"`
	Fleet       string    `cel:"fleet"`
	Service     string    `cel:"service"`
	Environment string    `cel:"environment"`
	Release     string    `cel:"release"`
	Group       string    `cel:"group"`
	Revision    string    `cel:"revision"`
	Previous    string    `cel:"previous"`
	Title       string    `cel:"title"`
	Author      string    `cel:"author"`
	Committed   time.Time `cel:"committed"`
	Images      []Image   `cel:"images"`
	By          string    `cel:"by"`
	Why         string    `cel:"why"`
	Loud        bool      `cel:"loud"`
	Untouched   bool      `cel:"untouched"`
}

// Image is an image of an Event.
type Image struct {
	Name   string `cel:"name"`
	Tag    string `cel:"tag"`
	Digest string `cel:"digest"`
}

func newEvent(e history.Event) Event {
	out := Event{
		Key: e.Key, Time: e.Time, Kind: string(e.Kind), Fleet: e.Fleet, Service: e.Service, Environment: e.Environment,
		Release: e.Release, Group: e.Group, Revision: e.Revision, Previous: e.Previous, Title: e.Title, Author: e.Author,
		Committed: e.Committed, By: e.By, Why: e.Why, Loud: e.Loud, Untouched: e.Untouched, Images: []Image{},
	}
	for _, i := range e.Images {
		out.Images = append(out.Images, Image(i))
	}
	return out
}

// leftOut are functions on strings that no filter needs, and that make of a short text one of gigabytes in a single call:
// what a call costs is counted when it has been made. Each is named with an overload of it, as cel-go wants.
var leftOut = map[string]cel.FunctionOpt{
	"replace": cel.MemberOverload("string_replace_string_string", []*cel.Type{cel.StringType, cel.StringType, cel.StringType}, cel.StringType),
	"join":    cel.MemberOverload("list_join", []*cel.Type{cel.ListType(cel.StringType)}, cel.StringType),
	"format":  cel.MemberOverload("string_format", []*cel.Type{cel.StringType, cel.ListType(cel.DynType)}, cel.StringType),
}

// environment is made once, because making it costs a millisecond.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	options := make([]cel.EnvOption, 0, 4+len(leftOut))
	options = append(options,
		ext.NativeTypes(reflect.TypeFor[Event](), ext.ParseStructTags(true)),
		cel.Variable("event", cel.ObjectType("notify.Event")),
		cel.DefaultUTCTimeZone(true),
		ext.Strings(),
	)
	for name, overload := range leftOut {
		options = append(options, cel.Function(name, cel.DisableDeclaration(true), overload))
	}
	return cel.NewEnv(options...)
})

// expression compiles the condition of a route. The types of an event are known, so that a misspelt field is found here.
func expression(text string) (cel.Program, error) {
	if len(text) > maxExpression {
		return nil, fmt.Errorf("the expression is longer than %d bytes", maxExpression)
	}
	env, err := environment()
	if err != nil {
		return nil, fmt.Errorf("prepare expressions: %w", err)
	}
	ast, issues := env.Compile(text)
	if problems := issues.Errors(); len(problems) > 0 {
		first := problems[0]
		return nil, fmt.Errorf("line %d, column %d of the expression: %s", first.Location.Line(), first.Location.Column()+1, Text(first.Message, maxSentence))
	}
	if got := ast.OutputType(); !got.IsExactType(cel.BoolType) {
		return nil, fmt.Errorf("the expression gives %s, not true or false", got)
	}
	program, err := env.Program(ast, cel.CostLimit(costLimit))
	if err != nil {
		return nil, fmt.Errorf("the expression cannot be compiled: %w", err)
	}
	return program, nil
}

func holds(program cel.Program, e history.Event) (bool, error) {
	out, _, err := program.Eval(map[string]any{"event": newEvent(e)})
	if err != nil {
		return false, fmt.Errorf("the expression cannot be evaluated: %w", err)
	}
	yes, ok := out.Value().(bool)
	if !ok {
		return false, errors.New("the expression gave neither true nor false")
	}
	return yes, nil
}
