package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"text/template"
	"text/template/parse"
	"time"

	"github.com/sengu-dev/sengu/internal/notify"
)

const (
	maxTemplate = 16 << 10
	maxBody     = 256 << 10
	maxJSON     = 2 * maxBody
)

// allowed are the functions that a template may call. Those of text/template that make long texts from short ones are
// left out, so that no template runs for long or fills the memory.
var allowed = map[string]bool{
	"and": true, "or": true, "not": true, "eq": true, "ne": true, "lt": true, "le": true, "gt": true, "ge": true,
	"len": true, "index": true, "json": true, "short": true,
}

var errTooLong = errors.New("it gives more than 256 KiB")

// body makes the body of a request by a template.
type body struct {
	template *template.Template
	json     bool
}

// compile parses a template and tries it on two events, of which one has everything, with characters that break a
// careless template, and one has as little as an event can have.
func compile(text string, isJSON bool) (*body, error) {
	if len(text) > maxTemplate {
		return nil, fmt.Errorf("the template is longer than %d KiB", maxTemplate>>10)
	}
	t, err := template.New("template").Option("missingkey=error").Funcs(functions()).Parse(text)
	if err != nil {
		return nil, fmt.Errorf("the template cannot be read: %s", sentence(err))
	}
	if len(t.Templates()) > 1 {
		return nil, errors.New("the template may not define others")
	}
	if t.Tree == nil || t.Root == nil {
		return nil, errors.New("the template is empty")
	}
	if err := check(t.Root, false); err != nil {
		return nil, fmt.Errorf("the template cannot be used: %w", err)
	}
	b := &body{t, isJSON}
	for _, e := range samples() {
		if _, err := b.make(e); err != nil {
			return nil, fmt.Errorf("the template does not work for every event: %w", err)
		}
	}
	return b, nil
}

func (b *body) make(e Event) ([]byte, error) {
	out := &limited{}
	t, err := b.template.Clone()
	if err != nil {
		return nil, errors.New(sentence(err))
	}
	if err := t.Funcs(functions()).Execute(out, e); err != nil {
		if errors.Is(err, errTooLong) {
			return nil, errTooLong
		}
		return nil, errors.New(sentence(err))
	}
	if b.json && !json.Valid(out.Bytes()) {
		return nil, errors.New(`it gives no valid JSON: write {{json .Title}}, without quotes around it, instead of "{{.Title}}"`)
	}
	return out.Bytes(), nil
}

func sentence(err error) string { return notify.Text(err.Error(), 300) }

// check walks a template and refuses what could run for long.
func check(node parse.Node, ranging bool) error {
	switch n := node.(type) {
	case *parse.ListNode:
		if n == nil {
			return nil
		}
		for _, child := range n.Nodes {
			if err := check(child, ranging); err != nil {
				return err
			}
		}
	case *parse.ActionNode:
		return check(n.Pipe, ranging)
	case *parse.IfNode:
		return checkBranch(&n.BranchNode, ranging)
	case *parse.WithNode:
		return checkBranch(&n.BranchNode, ranging)
	case *parse.RangeNode:
		if ranging {
			return errors.New("a range may not stand in another")
		}
		if !ofImages(n.Pipe) {
			return errors.New("range is for .Images only")
		}
		return checkBranch(&n.BranchNode, true)
	case *parse.TemplateNode:
		return errors.New("it may not call another template")
	case *parse.PipeNode:
		for _, command := range n.Cmds {
			if err := check(command, ranging); err != nil {
				return err
			}
		}
	case *parse.CommandNode:
		for _, arg := range n.Args {
			if err := check(arg, ranging); err != nil {
				return err
			}
		}
	case *parse.ChainNode:
		return check(n.Node, ranging)
	case *parse.IdentifierNode:
		if !allowed[n.Ident] {
			return fmt.Errorf("the function %s is not allowed: there are json, short, len, index, and, or, not, and the comparisons", n.Ident)
		}
	}
	return nil
}

func checkBranch(n *parse.BranchNode, ranging bool) error {
	if err := check(n.Pipe, ranging); err != nil {
		return err
	}
	if err := check(n.List, ranging); err != nil {
		return err
	}
	return check(n.ElseList, ranging)
}

// ofImages reports whether a range is over .Images or $.Images.
func ofImages(p *parse.PipeNode) bool {
	if len(p.Cmds) != 1 || len(p.Cmds[0].Args) != 1 {
		return false
	}
	switch n := p.Cmds[0].Args[0].(type) {
	case *parse.FieldNode:
		return len(n.Ident) == 1 && n.Ident[0] == "Images"
	case *parse.VariableNode:
		return len(n.Ident) == 2 && n.Ident[0] == "$" && n.Ident[1] == "Images"
	}
	return false
}

// functions are ours of the allowed ones, for one execution: what json makes in it is bounded.
func functions() template.FuncMap {
	left := maxJSON
	return template.FuncMap{"short": short, "json": func(v any) (string, error) {
		out, err := json.Marshal(v)
		if err != nil {
			return "", fmt.Errorf("json: %w", err)
		}
		if left -= len(out); left < 0 {
			return "", errTooLong
		}
		return string(out), nil
	}}
}

// short is the first seven characters of a hash.
func short(hash string) string { return hash[:min(len(hash), 7)] }

// limited is a buffer that refuses to grow beyond what a request may hold.
type limited struct{ bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > maxBody {
		return 0, errTooLong
	}
	return l.Buffer.Write(p)
}

func samples() []Event {
	at := time.Date(2030, time.April, 1, 9, 0, 0, 0, time.UTC)
	hash := "0123456789abcdef0123456789abcdef01234567"
	text := `"quoted" \ <b> & {{.}} 日本`
	return []Event{
		{
			Key: text, Kind: "failed", Fleet: "shop", Service: "checkout", Environment: "staging", Release: "checkout-1",
			Group: "group-1", Revision: hash, Previous: hash, Title: text, Author: text, Committed: &at, By: text, Why: text,
			Images: []Image{{Name: "registry.example.com/shop/checkout", Tag: "1.2.3", Digest: "sha256:" + hash}}, Loud: true, Time: at,
		},
		{Key: "k", Kind: "created", Fleet: "shop", Service: "checkout", By: "sengu", Images: []Image{}, Time: at},
	}
}
