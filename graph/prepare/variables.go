package prepare

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/veranda-go/veranda/graph/errcode"
)

// coerceVariables returns the values of the variables that an operation
// declares (spec 6.1.2). It is stricter than gqlparser, which takes "5" for an
// Int and "rent" for RENT; the REST API takes neither. Numbers stay json.Number
// until a field's argument is read.
func (p *Preparer) coerceVariables(op *ast.OperationDefinition, given map[string]any) (map[string]any, *gqlerror.Error) {
	values := make(map[string]any, len(op.VariableDefinitions))
	for _, def := range op.VariableDefinitions {
		c := coercer{Config: &p.Config, path: ast.Path{ast.PathName(def.Variable)}}
		v, ok := given[def.Variable]
		var err error
		switch {
		case !ok && def.DefaultValue != nil:
			if v, err = def.DefaultValue.Value(nil); err == nil {
				// Validation has checked a default, which is a literal.
				values[def.Variable] = v
			}
		case !ok && def.Type.NonNull:
			err = c.refuse("required")
		case ok:
			values[def.Variable], err = c.value(def.Type, v)
		}
		if err != nil {
			return nil, &gqlerror.Error{
				Message:    "$" + err.Error(),
				Locations:  []gqlerror.Location{{Line: def.Position.Line, Column: def.Position.Column}},
				Extensions: map[string]any{"code": errcode.BadInput, "variable": c.path},
			}
		}
	}
	return values, nil
}

type coercer struct {
	*Config
	path ast.Path
}

// refuse returns an error that begins with the path of the value.
func (c *coercer) refuse(format string, args ...any) error {
	return fmt.Errorf("%s: %s", c.path.String(), fmt.Sprintf(format, args...))
}

func (c *coercer) value(t *ast.Type, v any) (any, error) {
	if v == nil {
		if t.NonNull {
			return nil, c.refuse("must not be null")
		}
		return nil, nil
	}
	if t.Elem != nil {
		return c.list(t, v)
	}
	def := c.Table.Schema.Types[t.NamedType]
	switch def.Kind {
	case ast.Enum:
		if name, ok := v.(string); ok && def.EnumValues.ForName(name) != nil {
			return v, nil
		}
		return nil, c.refuse("must be a value of %s", def.Name)
	case ast.InputObject:
		return c.object(def, v)
	}
	return c.scalar(def.Name, v)
}

// list accepts a single value for a list of one (spec 3.11).
func (c *coercer) list(t *ast.Type, v any) (any, error) {
	all, ok := v.([]any)
	if !ok {
		all = []any{v}
	}
	out := make([]any, len(all))
	for i, v := range all {
		var err error
		c.path = append(c.path, ast.PathIndex(i))
		if out[i], err = c.value(t.Elem, v); err != nil {
			return nil, err
		}
		c.path = c.path[:len(c.path)-1]
	}
	return out, nil
}

func (c *coercer) object(def *ast.Definition, v any) (any, error) {
	in, ok := v.(map[string]any)
	if !ok {
		return nil, c.refuse("must be an object")
	}
	for name := range in {
		if def.Fields.ForName(name) == nil {
			return nil, c.refuse("has no field %q", name)
		}
	}
	out := make(map[string]any, len(in))
	for _, f := range def.Fields {
		c.path = append(c.path, ast.PathName(f.Name))
		v, ok := in[f.Name]
		var err error
		switch {
		case ok:
			out[f.Name], err = c.value(f.Type, v)
		case f.DefaultValue != nil:
			out[f.Name], err = f.DefaultValue.Value(nil)
		case f.Type.NonNull:
			err = c.refuse("required")
		}
		if err != nil {
			return nil, err
		}
		c.path = c.path[:len(c.path)-1]
	}
	return out, nil
}

// scalar checks a scalar. Numbers such as 1.0 and 1e1 are integers as well
// (spec 3.5), and become 1 and 10.
func (c *coercer) scalar(name string, v any) (any, error) {
	number, isNumber := v.(json.Number)
	integer := int64(0)
	isInteger := false
	if isNumber && name != "Float" {
		if integer, isInteger = wholeNumber(number.String()); isInteger {
			v = json.Number(strconv.FormatInt(integer, 10))
		}
	}
	switch name {
	case "Int":
		switch {
		case !isNumber:
			return nil, c.refuse("must be a whole number")
		case !isInteger || integer < math.MinInt32 || integer > math.MaxInt32:
			return nil, c.refuse("must be a whole number in the signed 32-bit range")
		}
	case "Float":
		if _, ok := v.(json.Number); !ok {
			return nil, c.refuse("must be a number")
		}
	case "String":
		if _, ok := v.(string); !ok {
			return nil, c.refuse("must be a string")
		}
	case "Boolean":
		if _, ok := v.(bool); !ok {
			return nil, c.refuse("must be true or false")
		}
	case "ID":
		if _, ok := v.(string); !ok && !isInteger {
			return nil, c.refuse("must be an id")
		}
	default:
		if check := c.Scalars[name]; check != nil {
			if err := check(v); err != nil {
				return nil, c.refuse("%s", err)
			}
		}
	}
	return v, nil
}

// wholeNumber reads a JSON number that is an integer in the signed 64-bit
// range, such as 10, 10.0 and 1e1.
func wholeNumber(text string) (n int64, ok bool) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, true
	}
	f, _, err := big.ParseFloat(text, 10, 512, big.ToZero)
	if err != nil || !f.IsInt() {
		return 0, false
	}
	n, accuracy := f.Int64()
	return n, accuracy == big.Exact
}
