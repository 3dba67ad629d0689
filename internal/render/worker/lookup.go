package worker

import (
	"fmt"
	"sort"
	"strings"
	"text/template"
	"text/template/parse"

	"helm.sh/helm/v4/pkg/chart/common"
	chart "helm.sh/helm/v4/pkg/chart/v2"
)

// lookups makes every `lookup` of a chart say where it stands: the engine does not tell a function which template
// calls it, so each call in the text gets a name of its own.
type lookups struct {
	sites []string
	seen  func(site string, args [4]string)
}

// mark renames the calls in the templates of a chart and of its dependencies. A template that does not parse is left
// as it is; the engine tells what is wrong with it.
func (l *lookups) mark(c *chart.Chart) {
	for _, t := range c.Templates {
		if t != nil && strings.Contains(string(t.Data), "lookup") {
			t.Data = l.markTemplate(c.ChartFullPath()+"/"+t.Name, t)
		}
	}
	for _, d := range c.Dependencies() {
		l.mark(d)
	}
}

func (l *lookups) markTemplate(name string, f *common.File) []byte {
	text := string(f.Data)
	tree := parse.New(name)
	tree.Mode = parse.SkipFuncCheck
	set := map[string]*parse.Tree{}
	if _, err := tree.Parse(text, "", "", set); err != nil {
		return f.Data
	}
	var at []int
	for _, t := range set {
		if t.Root != nil {
			at = identifiers(t.Root, "lookup", at)
		}
	}
	sort.Sort(sort.Reverse(sort.IntSlice(at)))
	for _, pos := range at {
		if !strings.HasPrefix(text[pos:], "lookup") {
			continue
		}
		l.sites = append(l.sites, fmt.Sprintf("%s:%d", name, 1+strings.Count(text[:pos], "\n")))
		text = fmt.Sprintf("%slookup__%d%s", text[:pos], len(l.sites)-1, text[pos+len("lookup"):])
	}
	return []byte(text)
}

// functions returns a function for each call and one for calls in text that is rendered by `tpl`.
func (l *lookups) functions() template.FuncMap {
	f := template.FuncMap{"lookup": l.function("a template given to tpl")}
	for i, site := range l.sites {
		f[fmt.Sprintf("lookup__%d", i)] = l.function(site)
	}
	return f
}

func (l *lookups) function(site string) func(apiVersion, kind, namespace, name string) (map[string]any, error) {
	return func(apiVersion, kind, namespace, name string) (map[string]any, error) {
		l.seen(site, [4]string{apiVersion, kind, namespace, name})
		return map[string]any{}, nil
	}
}

// identifiers appends the positions at which function name is called below node n.
func identifiers(n parse.Node, name string, at []int) []int {
	switch n := n.(type) {
	case *parse.ListNode:
		if n == nil {
			return at
		}
		for _, c := range n.Nodes {
			at = identifiers(c, name, at)
		}
	case *parse.ActionNode:
		at = identifiers(n.Pipe, name, at)
	case *parse.PipeNode:
		if n == nil {
			return at
		}
		for _, c := range n.Cmds {
			at = identifiers(c, name, at)
		}
	case *parse.CommandNode:
		for _, c := range n.Args {
			at = identifiers(c, name, at)
		}
	case *parse.IdentifierNode:
		if n.Ident == name {
			at = append(at, int(n.Pos))
		}
	case *parse.ChainNode:
		at = identifiers(n.Node, name, at)
	case *parse.IfNode:
		at = branch(&n.BranchNode, name, at)
	case *parse.RangeNode:
		at = branch(&n.BranchNode, name, at)
	case *parse.WithNode:
		at = branch(&n.BranchNode, name, at)
	case *parse.TemplateNode:
		at = identifiers(n.Pipe, name, at)
	}
	return at
}

func branch(n *parse.BranchNode, name string, at []int) []int {
	at = identifiers(n.Pipe, name, at)
	at = identifiers(n.List, name, at)
	return identifiers(n.ElseList, name, at)
}
