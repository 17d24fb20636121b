package declaration

import (
	"math"
	"slices"
	"strconv"

	"github.com/dop251/goja/ast"
	"github.com/dop251/goja/token"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// literal returns the value that mongosh would send for an expression.
func (s *script) literal(node ast.Expression) (any, error) {
	switch node := node.(type) {
	case *ast.StringLiteral:
		return node.Value.String(), nil
	case *ast.BooleanLiteral:
		return node.Value, nil
	case *ast.NullLiteral:
		return nil, nil
	case *ast.NumberLiteral:
		return s.number(node)
	case *ast.RegExpLiteral:
		return bson.Regex{Pattern: node.Pattern, Options: sortedLetters(node.Flags)}, nil
	case *ast.TemplateLiteral:
		if node.Tag == nil && len(node.Expressions) == 0 && len(node.Elements) == 1 {
			return node.Elements[0].Parsed.String(), nil
		}
	case *ast.UnaryExpression:
		return s.signed(node)
	case *ast.ArrayLiteral:
		return s.array(node)
	case *ast.ObjectLiteral:
		return s.object(node)
	case *ast.Identifier:
		return s.constant(node)
	case *ast.NewExpression:
		return s.construct(node, node.Callee, node.ArgumentList)
	case *ast.CallExpression:
		return s.construct(node, node.Callee, node.ArgumentList)
	}
	return nil, s.mistake(node, "%s is not supported; expected a literal", construct(node))
}

func sortedLetters(text string) string {
	letters := []byte(text)
	slices.Sort(letters)
	return string(letters)
}

// number returns a number as mongosh sends it: as an int32 if possible, else as a double.
func (s *script) number(node *ast.NumberLiteral) (any, error) {
	switch v := node.Value.(type) {
	case int64:
		return plainNumber(float64(v)), nil
	case float64:
		return plainNumber(v), nil
	}
	return nil, s.mistake(node, "%s is not a number that MongoDB stores", node.Literal)
}

func plainNumber(f float64) any {
	negativeZero := f == 0 && math.Signbit(f)
	if f == math.Trunc(f) && f >= math.MinInt32 && f <= math.MaxInt32 && !negativeZero {
		return int32(f)
	}
	return f
}

func (s *script) signed(node *ast.UnaryExpression) (any, error) {
	if node.Operator != token.MINUS && node.Operator != token.PLUS {
		return nil, s.mistake(node, "the operator %s is not supported; expected a literal", node.Operator)
	}
	v, err := s.literal(node.Operand)
	if err != nil {
		return nil, err
	}
	var f float64
	switch n := v.(type) {
	case int32:
		f = float64(n)
	case float64:
		f = n
	default:
		return nil, s.mistake(node, "expected a number")
	}
	if node.Operator == token.MINUS {
		f = -f
	}
	return plainNumber(f), nil
}

func (s *script) array(node *ast.ArrayLiteral) (any, error) {
	out := bson.A{}
	for _, element := range node.Value {
		if element == nil {
			return nil, s.mistake(node, "an array with empty elements is not supported")
		}
		v, err := s.literal(element)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// object returns the fields in JavaScript's order: keys that are array indexes first, by number.
// A repeated key has the last value, at the first position.
func (s *script) object(node *ast.ObjectLiteral) (any, error) {
	fields := bson.D{}
	for _, property := range node.Value {
		key, v, err := s.property(property)
		if err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(fields, func(e bson.E) bool { return e.Key == key }); i >= 0 {
			fields[i].Value = v
			continue
		}
		fields = append(fields, bson.E{Key: key, Value: v})
	}
	slices.SortStableFunc(fields, func(a, b bson.E) int {
		x, isX := arrayIndex(a.Key)
		y, isY := arrayIndex(b.Key)
		switch {
		case isX && isY:
			return int(x) - int(y)
		case isX:
			return -1
		case isY:
			return 1
		}
		return 0
	})
	return fields, nil
}

// arrayIndex reports whether JavaScript orders a key by its number.
func arrayIndex(key string) (uint32, bool) {
	n, err := strconv.ParseUint(key, 10, 32)
	if err != nil || n == math.MaxUint32 || strconv.FormatUint(n, 10) != key {
		return 0, false
	}
	return uint32(n), true
}

func (s *script) property(node ast.Property) (string, any, error) {
	switch node := node.(type) {
	case *ast.PropertyShort:
		v, err := s.constant(&node.Name)
		return node.Name.Name.String(), v, err
	case *ast.PropertyKeyed:
		if node.Kind != ast.PropertyKindValue {
			return "", nil, s.mistake(node, "a %s is not supported; expected NAME: a literal", node.Kind)
		}
		key, err := s.key(node)
		if err != nil {
			return "", nil, err
		}
		v, err := s.literal(node.Value)
		return key, v, err
	}
	return "", nil, s.mistake(node, "%s is not supported; expected NAME: a literal", construct(node))
}

func (s *script) key(node *ast.PropertyKeyed) (string, error) {
	v, err := s.literal(node.Key)
	if err != nil {
		return "", err
	}
	switch key := v.(type) {
	case string:
		if key == "__proto__" && !node.Computed {
			return "", s.mistake(node, "__proto__ sets the prototype, not a field; write ['__proto__']")
		}
		return key, nil
	case int32:
		return strconv.Itoa(int(key)), nil
	}
	return "", s.mistake(node.Key, "expected the name of a field")
}

func (s *script) constant(node *ast.Identifier) (any, error) {
	switch node.Name {
	case "NaN":
		return math.NaN(), nil
	case "Infinity":
		return math.Inf(1), nil
	case "MinKey":
		return bson.MinKey{}, nil
	case "MaxKey":
		return bson.MaxKey{}, nil
	}
	v, ok := s.constants[node.Name.String()]
	if _, isHandle := v.(handle); !ok || isHandle {
		return nil, s.mistake(node, "%s is not a constant with a literal value", node.Name)
	}
	return v, nil
}
