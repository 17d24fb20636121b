package declaration

import (
	"strings"

	"github.com/dop251/goja/ast"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/schema"
)

// call applies one method of a database or a collection.
func (s *script) call(on handle, method string, call *ast.CallExpression) error {
	var err error
	switch {
	case !on.isCollection && method == "createCollection":
		err = s.createCollection(on, call)
	case !on.isCollection && method == "createView":
		err = s.createView(on, call)
	case !on.isCollection && method == "runCommand":
		err = s.runCommand(on, call)
	case on.isCollection && (method == "createIndex" || method == "ensureIndex"):
		err = s.createOneIndex(on, call)
	case on.isCollection && method == "createIndexes":
		err = s.createSeveral(on, call)
	case on.isCollection && method == "convertToCapped":
		err = s.toCapped(on, call)
	default:
		return s.mistake(call, "%s is not supported; a declaration consists of createCollection, createView, createIndex, createIndexes, convertToCapped and runCommand", method)
	}
	return s.located(call, err)
}

// located adds the position of a call to an error without one.
func (s *script) located(node ast.Node, err error) error {
	if err == nil {
		return nil
	}
	if _, has := err.(*Error); has { //nolint:errorlint // of this package, never wrapped
		return err
	}
	return s.mistake(node, "%s", err)
}

func (s *script) createCollection(on handle, call *ast.CallExpression) error {
	name, err := s.stringArgument(call, 0, "the name of a collection")
	if err != nil {
		return err
	}
	options, err := s.documentArgument(call, 1, "the options")
	if err != nil {
		return err
	}
	return s.create(schema.Namespace{Database: on.Database, Collection: name}, options)
}

func (s *script) createView(on handle, call *ast.CallExpression) error {
	name, err := s.stringArgument(call, 0, "the name of a view")
	if err != nil {
		return err
	}
	source, err := s.stringArgument(call, 1, "the name of the view's source")
	if err != nil {
		return err
	}
	var stages any = bson.A{}
	if len(call.ArgumentList) > 2 {
		if stages, err = s.literal(call.ArgumentList[2]); err != nil {
			return err
		}
		if stage, ok := stages.(bson.D); ok {
			stages = bson.A{stage}
		}
	}
	options, err := s.documentArgument(call, 3, "the options")
	if err != nil {
		return err
	}
	view := bson.D{{Key: "viewOn", Value: source}, {Key: "pipeline", Value: stages}}
	return s.create(schema.Namespace{Database: on.Database, Collection: name}, append(view, options...))
}

func (s *script) createOneIndex(on handle, call *ast.CallExpression) error {
	key, err := s.documentArgument(call, 0, "the key of an index")
	if err != nil {
		return err
	}
	options, err := s.documentArgument(call, 1, "the options")
	if err != nil {
		return err
	}
	return s.createIndex(on.Namespace, key, options)
}

// createSeveral reads createIndexes([key, …], options).
func (s *script) createSeveral(on handle, call *ast.CallExpression) error {
	if len(call.ArgumentList) == 0 {
		return s.mistake(call, "expected an array of keys")
	}
	v, err := s.literal(call.ArgumentList[0])
	if err != nil {
		return err
	}
	keys, ok := v.(bson.A)
	if !ok {
		return s.mistake(call.ArgumentList[0], "expected an array of keys")
	}
	options, err := s.documentArgument(call, 1, "the options")
	if err != nil {
		return err
	}
	for _, k := range keys {
		key, ok := k.(bson.D)
		if !ok {
			return s.mistake(call.ArgumentList[0], "expected an array of keys")
		}
		if err := s.createIndex(on.Namespace, key, options); err != nil {
			return err
		}
	}
	return nil
}

func (s *script) toCapped(on handle, call *ast.CallExpression) error {
	if len(call.ArgumentList) == 0 {
		return s.mistake(call, "expected the size in bytes")
	}
	size, err := s.literal(call.ArgumentList[0])
	if err != nil {
		return err
	}
	return s.convertToCapped(on.Namespace, size)
}

// runCommand reads the commands that the methods above send.
func (s *script) runCommand(on handle, call *ast.CallExpression) error {
	command, err := s.documentArgument(call, 0, "a command")
	if err != nil {
		return err
	}
	if len(command) == 0 {
		return s.mistake(call, "expected a command")
	}
	name, ok := command[0].Value.(string)
	if !ok {
		return s.mistake(call, "expected the name of a collection as the value of %s", command[0].Key)
	}
	ns := schema.Namespace{Database: on.Database, Collection: strings.Clone(name)}
	switch command[0].Key {
	case "create":
		return s.create(ns, command)
	case "collMod":
		return s.modify(ns, command)
	case "convertToCapped":
		size, _ := lookup(command, "size")
		return s.convertToCapped(ns, size)
	case "createIndexes":
		return s.createSpecs(ns, command, call)
	}
	return s.mistake(call, "the command %s is not supported; expected create, createIndexes, collMod or convertToCapped", command[0].Key)
}

func (s *script) createSpecs(ns schema.Namespace, command bson.D, call *ast.CallExpression) error {
	v, _ := lookup(command, "indexes")
	specs, ok := v.(bson.A)
	if !ok {
		return s.mistake(call, "expected indexes: [{key: …, name: …}]")
	}
	for _, one := range specs {
		spec, ok := one.(bson.D)
		k, _ := lookup(spec, "key")
		key, isKey := k.(bson.D)
		if !ok || !isKey {
			return s.mistake(call, "expected indexes: [{key: …, name: …}]")
		}
		if err := s.createIndex(ns, key, spec); err != nil {
			return err
		}
	}
	return nil
}
