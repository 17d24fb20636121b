package receivers

import (
	"errors"
	"fmt"
	"strings"
	texttemplate "text/template"
	"text/template/parse"
	"time"

	"github.com/ddltail/ddltail/internal/terminal"
)

// The escapers end every action. Only raw bypasses them.
const (
	escaperValue  = "_ddltail_json_value"
	escaperString = "_ddltail_json_string"
	escaperText   = "_ddltail_text"
	functionRaw   = "raw"
)

// functions are the functions available in template files.
func functions() texttemplate.FuncMap {
	return texttemplate.FuncMap{
		functionRaw: func(value any) any { return value },
		"cut":       func(n int, value any) string { return cut(display(value), n) },
		"upper":     func(value any) string { return strings.ToUpper(display(value)) },
		"lower":     func(value any) string { return strings.ToLower(display(value)) },
		"join":      strings.Join,
		"last":      func(i int, changes []Change) bool { return i == len(changes)-1 },
	}
}

// escapers are added after a file was parsed, so that it cannot name them.
func escapers() texttemplate.FuncMap {
	return texttemplate.FuncMap{
		escaperValue:  jsonValue,
		escaperString: jsonString,
		escaperText:   func(value any) string { return terminal.Escape(display(value)) },
	}
}

// display returns a value as text.
func display(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	case JSON:
		return string(v)
	case time.Time:
		return instant(v)
	}
	return fmt.Sprint(value)
}

// jsonValue returns a value as JSON; a JSON text unchanged, null if it is empty.
func jsonValue(value any) (string, error) {
	if text, ok := value.(JSON); ok {
		if text == "" {
			return "null", nil
		}
		return string(text), nil
	}
	body, err := encode(value)
	return string(body), err
}

// jsonString returns a value as the content of a JSON string.
func jsonString(value any) (string, error) {
	body, err := encode(display(value))
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(strings.TrimPrefix(string(body), `"`), `"`), nil
}

// MarshalJSON returns the text unchanged.
func (j JSON) MarshalJSON() ([]byte, error) {
	if j == "" {
		return []byte("null"), nil
	}
	return []byte(j), nil
}

// escape rewrites every action of a template to end in the escaper of its kind. In JSON the
// escaper depends on the position: within a string literal, or as a separate value.
func escape(t *texttemplate.Template, k kind) error {
	if t.Tree == nil {
		return errors.New("the file is empty")
	}
	e := &escaper{kind: k, set: t.Funcs(escapers()), ends: map[string]bool{}}
	inString, err := e.list(t.Root, false)
	if err != nil {
		return err
	}
	if inString {
		return errors.New("the template ends within a JSON string")
	}
	return nil
}

// escaper rewrites one set of templates.
type escaper struct {
	kind kind
	set  *texttemplate.Template
	// ends maps a derived template to whether it ends within a string.
	ends map[string]bool
	// loops holds for each surrounding loop whether it begins within a string.
	loops []bool
}

// list rewrites a sequence of nodes, given whether it begins within a JSON string, and reports
// whether it ends within one.
func (e *escaper) list(l *parse.ListNode, inString bool) (bool, error) {
	if l == nil {
		return inString, nil
	}
	for _, n := range l.Nodes {
		var err error
		if inString, err = e.node(n, inString); err != nil {
			return false, err
		}
	}
	return inString, nil
}

func (e *escaper) node(n parse.Node, inString bool) (bool, error) {
	switch n := n.(type) {
	case *parse.TextNode:
		if e.kind == kindJSON {
			return afterText(n.Text, inString), nil
		}
	case *parse.ActionNode:
		e.action(n, inString)
	case *parse.IfNode:
		return e.branch(&n.BranchNode, inString, false)
	case *parse.WithNode:
		return e.branch(&n.BranchNode, inString, false)
	case *parse.RangeNode:
		return e.branch(&n.BranchNode, inString, true)
	case *parse.TemplateNode:
		return e.call(n, inString)
	case *parse.BreakNode:
		return inString, e.leave(n.Line, inString)
	case *parse.ContinueNode:
		return inString, e.leave(n.Line, inString)
	}
	return inString, nil
}

// leave checks a break or continue: the position must be the same as at the loop's beginning.
func (e *escaper) leave(line int, inString bool) error {
	if e.kind == kindJSON && inString != e.loops[len(e.loops)-1] {
		return fmt.Errorf("line %d: break and continue must be in the same position as the beginning of the loop, within a JSON string or outside", line)
	}
	return nil
}

// action appends the escaper, unless the action ends in raw or only sets a variable.
func (e *escaper) action(n *parse.ActionNode, inString bool) {
	if len(n.Pipe.Decl) > 0 || endsInRaw(n.Pipe) {
		return
	}
	name := escaperText
	if e.kind == kindJSON {
		name = escaperValue
		if inString {
			name = escaperString
		}
	}
	n.Pipe.Cmds = append(n.Pipe.Cmds, &parse.CommandNode{
		NodeType: parse.NodeCommand, Pos: n.Pos, Args: []parse.Node{parse.NewIdentifier(name).SetPos(n.Pos).SetTree(e.set.Tree)},
	})
}

func endsInRaw(p *parse.PipeNode) bool {
	if len(p.Cmds) == 0 {
		return false
	}
	last := p.Cmds[len(p.Cmds)-1]
	id, ok := last.Args[0].(*parse.IdentifierNode)
	return ok && id.Ident == functionRaw
}

// branch rewrites both alternatives, which must end in the same position, within a string or
// outside. A loop must end in the position in which it begins.
func (e *escaper) branch(b *parse.BranchNode, inString, loop bool) (bool, error) {
	if loop {
		e.loops = append(e.loops, inString)
	}
	first, err := e.list(b.List, inString)
	if loop {
		e.loops = e.loops[:len(e.loops)-1]
	}
	if err != nil {
		return false, err
	}
	second, err := e.list(b.ElseList, inString)
	if err != nil {
		return false, err
	}
	if first != second || loop && first != inString {
		return false, fmt.Errorf("line %d: the branches of {{%s}} end differently: one within a JSON string, one outside", b.Line, name(b))
	}
	return first, nil
}

func name(b *parse.BranchNode) string {
	switch b.NodeType {
	case parse.NodeRange:
		return "range"
	case parse.NodeWith:
		return "with"
	}
	return "if"
}

// call rewrites the called template, once for each kind of position in which it is called.
func (e *escaper) call(n *parse.TemplateNode, inString bool) (bool, error) {
	target := e.set.Lookup(n.Name)
	if target == nil || target.Tree == nil {
		return false, fmt.Errorf("line %d: template %q is not defined", n.Line, n.Name)
	}
	derived := n.Name + "$outside"
	if inString {
		derived = n.Name + "$inside"
	}
	n.Name = derived
	if end, ok := e.ends[derived]; ok {
		return end, nil
	}
	e.ends[derived] = inString // a recursive call ends as it begins, or is refused below
	tree := target.Copy()
	end, err := e.list(tree.Root, inString)
	if err != nil {
		return false, err
	}
	if end != inString {
		return false, fmt.Errorf("line %d: template %q begins and ends differently, within a JSON string and outside", n.Line, target.Name())
	}
	if _, err := e.set.AddParseTree(derived, tree); err != nil {
		return false, fmt.Errorf("template %q: %w", target.Name(), err)
	}
	return end, nil
}

// afterText reports whether a text of a JSON template ends within a string.
func afterText(text []byte, inString bool) bool {
	for i := 0; i < len(text); i++ {
		switch {
		case inString && text[i] == '\\':
			i++
		case text[i] == '"':
			inString = !inString
		}
	}
	return inString
}
