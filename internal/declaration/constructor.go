package declaration

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dop251/goja/ast"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// constructors are the functions of mongosh that a literal may call.
func constructors() map[string]func(args []any) (any, error) {
	return map[string]func([]any) (any, error){
		"ObjectId": objectID, "ObjectID": objectID,
		"NumberLong": long, "Long": long, "NumberInt": integer, "Int32": integer, "Double": double,
		"NumberDecimal": decimal, "Decimal128": decimal,
		"ISODate": date, "Date": date, "UUID": uuid, "BinData": binary,
		"RegExp": regex, "BSONRegExp": regex, "Timestamp": timestamp, "Map": ordered, "Code": code,
		"MinKey": func([]any) (any, error) { return bson.MinKey{}, nil },
		"MaxKey": func([]any) (any, error) { return bson.MaxKey{}, nil },
	}
}

// construct calls one of the constructors, including static methods such as Long.fromString.
func (s *script) construct(node ast.Node, callee ast.Expression, list []ast.Expression) (any, error) {
	name := ""
	switch c := callee.(type) {
	case *ast.Identifier:
		name = c.Name.String()
	case *ast.DotExpression:
		if id, ok := c.Left.(*ast.Identifier); ok && strings.HasPrefix(c.Identifier.Name.String(), "from") {
			name = id.Name.String()
		}
	}
	make, ok := constructors()[name]
	if !ok {
		return nil, s.mistake(node, "this call is not supported; expected a literal, or ObjectId, NumberLong, NumberDecimal, ISODate, UUID, RegExp, Map or a similar constructor")
	}
	args := []any{}
	for _, a := range list {
		v, err := s.literal(a)
		if err != nil {
			return nil, err
		}
		args = append(args, v)
	}
	v, err := make(args)
	if err != nil {
		return nil, s.mistake(node, "%s: %s", name, err)
	}
	return v, nil
}

func oneText(args []any) (string, error) {
	if len(args) != 1 {
		return "", errors.New("expected one argument")
	}
	switch v := args[0].(type) {
	case string:
		return v, nil
	case int32:
		return strconv.Itoa(int(v)), nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	}
	return "", fmt.Errorf("expected a string, not %v", args[0])
}

func objectID(args []any) (any, error) {
	text, err := oneText(args)
	if err != nil {
		return nil, err
	}
	return bson.ObjectIDFromHex(text)
}

func long(args []any) (any, error) {
	text, err := oneText(args)
	if err != nil {
		return nil, err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%q is not a 64-bit integer", text)
	}
	return n, nil
}

func integer(args []any) (any, error) {
	text, err := oneText(args)
	if err != nil {
		return nil, err
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("%q is not a 32-bit integer", text)
	}
	return int32(n), nil
}

func double(args []any) (any, error) {
	text, err := oneText(args)
	if err != nil {
		return nil, err
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, fmt.Errorf("%q is not a number", text)
	}
	return f, nil
}

func decimal(args []any) (any, error) {
	text, err := oneText(args)
	if err != nil {
		return nil, err
	}
	return bson.ParseDecimal128(text)
}

// date accepts a date string, or milliseconds since 1970. Without an argument it would be the
// current time, which is not a literal.
func date(args []any) (any, error) {
	if len(args) != 1 {
		return nil, errors.New("expected one argument")
	}
	if text, ok := args[0].(string); ok {
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02"} {
			if at, err := time.Parse(layout, text); err == nil {
				return bson.NewDateTimeFromTime(at), nil
			}
		}
		return nil, fmt.Errorf("%q is not a date such as 2026-01-31T12:00:00Z", text)
	}
	switch ms := args[0].(type) {
	case int32:
		return bson.DateTime(ms), nil
	case float64:
		return bson.DateTime(int64(ms)), nil
	}
	return nil, errors.New("expected a date as a string, or milliseconds")
}

func uuid(args []any) (any, error) {
	text, err := oneText(args)
	if err != nil {
		return nil, err
	}
	data, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || len(data) != 16 {
		return nil, fmt.Errorf("%q is not a UUID", text)
	}
	return bson.Binary{Subtype: bson.TypeBinaryUUID, Data: data}, nil
}

func binary(args []any) (any, error) {
	if len(args) != 2 {
		return nil, errors.New("expected a subtype and base64")
	}
	subtype, isNumber := args[0].(int32)
	text, isText := args[1].(string)
	data, err := base64.StdEncoding.DecodeString(text)
	if !isNumber || !isText || err != nil || subtype < 0 || subtype > 255 {
		return nil, errors.New("expected a subtype and base64")
	}
	return bson.Binary{Subtype: byte(subtype), Data: data}, nil
}

func regex(args []any) (any, error) {
	if len(args) == 0 || len(args) > 2 {
		return nil, errors.New("expected a pattern and options")
	}
	pattern, ok := args[0].(string)
	options := ""
	if len(args) == 2 {
		var isText bool
		options, isText = args[1].(string)
		ok = ok && isText
	}
	if !ok {
		return nil, errors.New("expected a pattern and options")
	}
	return bson.Regex{Pattern: pattern, Options: sortedLetters(options)}, nil
}

func timestamp(args []any) (any, error) {
	fields := bson.D{}
	switch len(args) {
	case 1:
		fields, _ = args[0].(bson.D)
	case 2:
		fields = bson.D{{Key: "t", Value: args[0]}, {Key: "i", Value: args[1]}}
	}
	var at bson.Timestamp
	for _, half := range []struct {
		key  string
		into *uint32
	}{{"t", &at.T}, {"i", &at.I}} {
		v, _ := lookup(fields, half.key)
		text, err := oneText([]any{v})
		n, parseErr := strconv.ParseUint(text, 10, 32)
		if err != nil || parseErr != nil {
			return nil, errors.New("expected {t: SECONDS, i: INCREMENT}")
		}
		*half.into = uint32(n)
	}
	return at, nil
}

// ordered reads new Map([[KEY, VALUE], …]), a document in exactly that order.
func ordered(args []any) (any, error) {
	wrong := errors.New("expected [[KEY, VALUE], …]")
	if len(args) != 1 {
		return nil, wrong
	}
	pairs, ok := args[0].(bson.A)
	if !ok {
		return nil, wrong
	}
	doc := bson.D{}
	for _, p := range pairs {
		pair, isPair := p.(bson.A)
		if !isPair || len(pair) != 2 {
			return nil, wrong
		}
		key, isText := pair[0].(string)
		if !isText {
			return nil, wrong
		}
		doc = append(doc, bson.E{Key: key, Value: pair[1]})
	}
	return doc, nil
}

func code(args []any) (any, error) {
	if len(args) != 1 {
		return nil, errors.New("expected the code as a string")
	}
	text, ok := args[0].(string)
	if !ok {
		return nil, errors.New("expected the code as a string")
	}
	return bson.JavaScript(text), nil
}
