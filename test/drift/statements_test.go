package drift

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/dop251/goja/ast"
	"github.com/dop251/goja/parser"
)

// keepingStatements are the methods that neither drop nor rebuild anything.
func keepingStatements() []string {
	return []string{"createCollection", "createView", "createIndex", "renameCollection"}
}

// destructive returns the statements of a script that are not known to be harmless. The
// script is parsed, so that comments are ignored.
func destructive(script string) []string {
	program, err := parser.ParseFile(nil, "script.js", script, 0)
	if err != nil {
		return []string{err.Error()}
	}
	var wrong []string
	for _, s := range program.Body {
		if what := statementOf(s); what != "" {
			wrong = append(wrong, what)
		}
	}
	return wrong
}

// statementOf returns the method of a destructive statement; empty for others.
func statementOf(s ast.Statement) string {
	if _, ok := s.(*ast.EmptyStatement); ok {
		return ""
	}
	expression, ok := s.(*ast.ExpressionStatement)
	if !ok {
		return fmt.Sprintf("%T", s)
	}
	call, ok := expression.Expression.(*ast.CallExpression)
	if !ok {
		return fmt.Sprintf("%T", expression.Expression)
	}
	method, ok := call.Callee.(*ast.DotExpression)
	if !ok {
		return fmt.Sprintf("%T", call.Callee)
	}
	name := method.Identifier.Name.String()
	switch {
	case slices.Contains(keepingStatements(), name):
		if name == "renameCollection" && len(call.ArgumentList) > 1 {
			return "renameCollection with dropTarget"
		}
		return ""
	case name == "runCommand":
		return commandOf(call)
	}
	return name
}

// commandOf returns the command of runCommand, unless it is known to be harmless.
func commandOf(call *ast.CallExpression) string {
	command, ok := call.ArgumentList[0].(*ast.ObjectLiteral)
	if !ok || len(command.Value) == 0 {
		return "runCommand without a literal command"
	}
	first, ok := command.Value[0].(*ast.PropertyKeyed)
	if !ok {
		return "runCommand without a literal command"
	}
	key, ok := first.Key.(*ast.StringLiteral)
	if !ok || !slices.Contains([]string{"create", "createIndexes", "collMod"}, key.Value.String()) {
		return fmt.Sprintf("the command %v", first.Key)
	}
	return ""
}

// TestDestructive checks that destructive finds statements, and ignores comments.
func TestDestructive(t *testing.T) {
	for statement, kept := range map[string]bool{
		"db.getSiblingDB('d').createCollection('c')":                     true,
		"db.getSiblingDB('d').runCommand({collMod: 'c', validator: {}})": true,
		"// db.getSiblingDB('d').getCollection('c').drop()":              true,
		"/* db.c.drop() */": true,
		"db.getSiblingDB('d').getCollection('c').createIndex({a: 1}, {name: 'drop()'})": true,
		"db.getSiblingDB('d').getCollection('c').drop()":                                false,
		"db.getSiblingDB('d').getCollection('c').dropIndex('a')":                        false,
		"db.getSiblingDB('d').getCollection('c').convertToCapped(5000)":                 false,
		"db.getSiblingDB('d').getCollection('c').renameCollection('e', true)":           false,
		"db.getSiblingDB('d').runCommand({drop: 'c'})":                                  false,
		"if (true) { db.c.drop() }":                                                     false,
	} {
		if wrong := destructive(statement); (len(wrong) == 0) != kept {
			t.Errorf("%s: %s", statement, strings.Join(wrong, ", "))
		}
	}
}
