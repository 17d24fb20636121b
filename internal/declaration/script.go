package declaration

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"

	"github.com/dop251/goja/ast"
	"github.com/dop251/goja/file"
	"github.com/dop251/goja/parser"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/schema"
)

// script is the state while a mongosh script is read.
type script struct {
	builder
	name string
	// file returns the line and column of a position, after the lines of earlier pieces.
	file *file.File
	line int
	// db is the selected database.
	db        string
	constants map[string]any
}

// handle is the database or collection of an expression.
type handle struct {
	schema.Namespace
	isCollection bool
}

// readScript reads a sequence of createCollection, createIndex(es), createView, collMod
// and runCommand of those, with literal arguments. Every other construct is an error.
func readScript(name string, text []byte, into builder) error {
	if len(text) >= longScript {
		before := maps.Clone(into.definitions)
		ok, err := readPieces(name, text, into)
		if ok {
			return err
		}
		// Parse the whole script: it may be valid, or the error is at another position.
		clear(into.definitions)
		maps.Copy(into.definitions, before)
	}
	program, err := parser.ParseFile(nil, name, useStatements(string(text)), 0)
	if err != nil {
		return syntaxError(name, err)
	}
	s := newScript(name, into)
	return s.read(program, 0)
}

func newScript(name string, into builder) *script {
	return &script{builder: into, name: name, constants: map[string]any{}}
}

// readPieces reads a long script; ok is false if a piece cannot be parsed.
func readPieces(name string, text []byte, into builder) (ok bool, err error) {
	done := make(chan struct{})
	defer close(done)
	s := newScript(name, into)
	for p := range parsePieces(name, text, done) {
		if p.err != nil {
			return false, nil
		}
		if err := s.read(p.program, p.line); err != nil {
			return true, err
		}
	}
	return true, nil
}

// read reads the statements of a program that begins after a number of lines.
func (s *script) read(program *ast.Program, line int) error {
	s.file, s.line = program.File, line
	for _, statement := range program.Body {
		if err := s.statement(statement); err != nil {
			return err
		}
	}
	return nil
}

func syntaxError(name string, err error) error {
	var list parser.ErrorList
	if errors.As(err, &list) && len(list) > 0 {
		return &Error{File: name, Line: list[0].Position.Line, Column: list[0].Position.Column, Problem: "not a script: " + list[0].Message}
	}
	return &Error{File: name, Problem: "not a script: " + err.Error()}
}

// useStatements replaces the shell's `use NAME` by a call.
func useStatements(text string) string {
	if !strings.Contains(text, "use") {
		return text
	}
	use := regexp.MustCompile(`^([ \t]*)use[ \t]+([A-Za-z0-9_.\-]+)[ \t]*;?[ \t]*(\r?\n?)$`)
	var b strings.Builder
	b.Grow(len(text))
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimLeft(line, " \t"), "use") {
			line = use.ReplaceAllString(line, "${1}use('${2}');${3}")
		}
		b.WriteString(line)
	}
	return b.String()
}

func (s *script) at(node ast.Node) file.Position {
	p := s.file.Position(int(node.Idx0()) - s.file.Base())
	p.Line += s.line
	return p
}

func (s *script) mistake(node ast.Node, format string, args ...any) error {
	p := s.at(node)
	return &Error{File: s.name, Line: p.Line, Column: p.Column, Problem: fmt.Sprintf(format, args...)}
}

// construct returns the name of a node for messages.
func construct(node ast.Node) string {
	name := strings.TrimPrefix(fmt.Sprintf("%T", node), "*ast.")
	for _, suffix := range []string{"Statement", "Expression", "Declaration", "Literal"} {
		if rest, ok := strings.CutSuffix(name, suffix); ok && rest != "" {
			return "a " + strings.ToLower(rest) + " " + strings.ToLower(suffix)
		}
	}
	return "a " + strings.ToLower(name)
}

func (s *script) statement(node ast.Statement) error {
	switch node := node.(type) {
	case *ast.EmptyStatement:
		return nil
	case *ast.ExpressionStatement:
		return s.expression(node.Expression)
	case *ast.LexicalDeclaration:
		return s.bind(node.List)
	case *ast.VariableStatement:
		return s.bind(node.List)
	}
	return s.mistake(node, "%s is not supported; a declaration is a sequence of createCollection, createIndex, createIndexes, createView and "+
		"runCommand with literal arguments", construct(node))
}

// bind stores constants with literals, databases or collections as values.
func (s *script) bind(list []*ast.Binding) error {
	for _, b := range list {
		target, ok := b.Target.(*ast.Identifier)
		if !ok || b.Initializer == nil {
			return s.mistake(b, "expected NAME = a literal")
		}
		if h, isHandle, err := s.handle(b.Initializer); err != nil {
			return err
		} else if isHandle {
			s.constants[target.Name.String()] = h
			continue
		}
		v, err := s.literal(b.Initializer)
		if err != nil {
			return err
		}
		s.constants[target.Name.String()] = v
	}
	return nil
}

func (s *script) expression(node ast.Expression) error {
	if assign, ok := node.(*ast.AssignExpression); ok {
		return s.assign(assign)
	}
	call, ok := node.(*ast.CallExpression)
	if !ok {
		return s.mistake(node, "%s is not supported; expected a call such as db.createCollection('NAME')", construct(node))
	}
	if id, ok := call.Callee.(*ast.Identifier); ok && id.Name == "use" {
		name, err := s.stringArgument(call, 0, "the name of a database")
		s.db = name
		return err
	}
	method, ok := call.Callee.(*ast.DotExpression)
	if !ok {
		return s.mistake(call, "%s is not supported; expected a method of db or of a collection", construct(call.Callee))
	}
	on, isHandle, err := s.handle(method.Left)
	if err != nil {
		return err
	}
	if !isHandle {
		return s.mistake(call, "%s is not supported; expected a method of db or of a collection", construct(method.Left))
	}
	return s.call(on, method.Identifier.Name.String(), call)
}

// assign accepts db = db.getSiblingDB('NAME'), as in scripts for the legacy shell.
func (s *script) assign(node *ast.AssignExpression) error {
	id, ok := node.Left.(*ast.Identifier)
	h, isHandle, err := s.handle(node.Right)
	if err != nil {
		return err
	}
	if !ok || id.Name != "db" || !isHandle || h.isCollection {
		return s.mistake(node, "the only supported assignment is db = db.getSiblingDB('NAME')")
	}
	s.db = h.Database
	return nil
}

// handle reads an expression that names a database or a collection.
func (s *script) handle(node ast.Expression) (handle, bool, error) {
	switch node := node.(type) {
	case *ast.Identifier:
		if node.Name == "db" {
			return handle{Namespace: schema.Namespace{Database: s.db}}, true, nil
		}
		h, ok := s.constants[node.Name.String()].(handle)
		return h, ok, nil
	case *ast.DotExpression:
		on, ok, err := s.handle(node.Left)
		return on.collection(node.Identifier.Name.String()), ok, err
	case *ast.BracketExpression:
		on, ok, err := s.handle(node.Left)
		if err != nil || !ok {
			return on, ok, err
		}
		name, err := s.literal(node.Member)
		text, isText := name.(string)
		if err == nil && !isText {
			err = s.mistake(node.Member, "expected the name of a collection")
		}
		return on.collection(text), true, err
	case *ast.CallExpression:
		return s.handleCall(node)
	}
	return handle{}, false, nil
}

func (h handle) collection(name string) handle {
	if h.isCollection {
		name = h.Collection + "." + name
	}
	h.Collection, h.isCollection = strings.Clone(name), true
	return h
}

func (s *script) handleCall(node *ast.CallExpression) (handle, bool, error) {
	method, ok := node.Callee.(*ast.DotExpression)
	if !ok {
		return handle{}, false, nil
	}
	name := method.Identifier.Name.String()
	if name != "getSiblingDB" && name != "getCollection" {
		return handle{}, false, nil
	}
	on, ok, err := s.handle(method.Left)
	if err != nil || !ok {
		return on, ok, err
	}
	argument, err := s.stringArgument(node, 0, "a name")
	if name == "getSiblingDB" {
		return handle{Namespace: schema.Namespace{Database: argument}}, true, err
	}
	return on.collection(argument), true, err
}

func (s *script) stringArgument(call *ast.CallExpression, i int, what string) (string, error) {
	if i >= len(call.ArgumentList) {
		return "", s.mistake(call, "expected %s as argument %d", what, i+1)
	}
	v, err := s.literal(call.ArgumentList[i])
	if err != nil {
		return "", err
	}
	text, ok := v.(string)
	if !ok || text == "" {
		return "", s.mistake(call.ArgumentList[i], "expected %s", what)
	}
	// A substring would keep the whole script in memory.
	return strings.Clone(text), nil
}

// documentArgument reads a document; a missing argument is an empty document.
func (s *script) documentArgument(call *ast.CallExpression, i int, what string) (bson.D, error) {
	if i >= len(call.ArgumentList) {
		return nil, nil
	}
	v, err := s.literal(call.ArgumentList[i])
	if err != nil {
		return nil, err
	}
	doc, ok := v.(bson.D)
	if !ok && v != nil {
		return nil, s.mistake(call.ArgumentList[i], "expected %s as a document", what)
	}
	return doc, nil
}
