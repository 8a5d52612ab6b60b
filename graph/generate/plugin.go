package main

import (
	_ "embed"
	"fmt"
	"go/types"
	"path/filepath"
	"strings"

	"github.com/99designs/gqlgen/codegen"
	"github.com/99designs/gqlgen/codegen/config"
	"github.com/99designs/gqlgen/codegen/templates"
	"github.com/vektah/gqlparser/v2/ast"
)

// plugin writes table.go beside gqlgen's exec.go. It leaves out the fields that
// it does not support; operations that select one run on gqlgen's executor.
type plugin struct{}

// Name is part of gqlgen's plugin.Plugin.
func (plugin) Name() string { return "table" }

//go:embed table.gotpl
var tableTemplate string

// GenerateCode is part of gqlgen's plugin.CodeGenerator.
func (plugin) GenerateCode(data *codegen.Data) error {
	t := table{Data: data}
	for _, o := range data.Objects {
		if strings.HasPrefix(o.Name, "__") || o.Type != nil && (o.IsMap() || isPointer(o.Type)) {
			continue
		}
		supported := object{Object: o}
		for _, f := range o.Fields {
			if t.supports(f) {
				supported.Fields = append(supported.Fields, field{f, &t})
			}
		}
		t.Supported = append(t.Supported, supported)
	}
	return templates.Render(templates.Options{
		PackageName:     data.Config.Exec.Package,
		Filename:        filepath.Join(data.Config.Exec.Dir(), "table.go"),
		Template:        tableTemplate,
		Data:            &t,
		GeneratedHeader: true,
		Packages:        data.Config.Packages,
	})
}

// table is the template's data.
type table struct {
	*codegen.Data
	Supported []object
}

type object struct {
	*codegen.Object
	Fields []field
}

func isPointer(t types.Type) bool { _, ok := t.(*types.Pointer); return ok }

// supports reports whether a field has a place in the table. Directives with an
// implementation, maps as models and methods that return no plain value have
// none.
func (t *table) supports(f *codegen.Field) bool {
	switch {
	case f.IsReserved(), f.HasDirectives(), f.VOkFunc, f.HasHaser, f.IsMap() && !f.IsResolver, f.TypeReference.IsRoot, f.UsesSubscriptionContext():
		return false
	}
	return f.TypeReference.Definition.IsLeafType() || t.isValue(f.TypeReference)
}

// isValue reports whether value has an expression for a reference.
func (t *table) isValue(ref *config.TypeReference) bool {
	switch {
	case ref.IsSlice():
		return t.isValue(ref.Elem())
	case ref.IsPtr():
		elem := ref.Elem()
		return !elem.IsPtr() && !elem.IsSlice() && !types.IsInterface(elem.GO)
	}
	return !ref.IsMap()
}

// value returns the Go expression that makes a value, as package execute has
// it, of what pointer points to.
func (t *table) value(ref *config.TypeReference, pointer string) string {
	deref := "*" + pointer
	if target, ok := strings.CutPrefix(pointer, "&"); ok {
		deref = target
	}
	switch {
	case ref.IsSlice():
		return fmt.Sprintf("execute.List(%s, %t, func(e *%s) any { return %s })",
			deref, ref.GQL.NonNull, ref_(ref.Elem().GO), t.value(ref.Elem(), "e"))
	case ref.IsPtr():
		return "execute.Pointer(" + deref + ")"
	case types.IsInterface(ref.GO):
		return deref
	}
	return pointer
}

func ref_(t types.Type) string { return templates.CurrentImports.LookupType(t) }

// field is a field of an object that the table has.
type field struct {
	*codegen.Field
	table *table
}

// IsLeaf reports whether the field's values are scalars or enums.
func (f field) IsLeaf() bool { return f.TypeReference.Definition.IsLeafType() }

// IsCall reports whether the field's value takes a call that may fail, needs
// the context or has arguments.
func (f field) IsCall() bool {
	return f.IsResolver || f.IsMethod() && (f.MethodHasContext || len(f.Args) > 0 || !f.NoErr)
}

// Source returns the Go expression of what a parent holds for the field.
func (f field) Source() string {
	source := f.GoReceiverName + "." + f.GoFieldName
	if f.IsMethod() {
		source += "()"
	}
	return source
}

// Append returns the Go expression that appends the JSON of a leaf to b, or ""
// if only gqlgen's own marshaler can. expr is the leaf, not a pointer.
func (f field) Append(expr string) string {
	ref := f.TypeReference
	if ref.IsPtr() {
		ref = ref.Elem()
	}
	if f.IsCall() || ref.Marshaler == nil || ref.IsContext || ref.IsSlice() || ref.IsPtr() || ref.HasEnumValues() {
		return ""
	}
	if ref.CastType != nil {
		expr = ref_(ref.CastType) + "(" + expr + ")"
	}
	pkg, name := ref.Marshaler.Pkg(), strings.TrimPrefix(ref.Marshaler.Name(), "Marshal")
	if pkg.Path() == "github.com/99designs/gqlgen/graphql" {
		switch name {
		case "String", "ID":
			return "execute.AppendString(b, " + expr + ")"
		case "Int", "Int32", "Int64":
			return "execute.AppendInt(b, " + expr + ")"
		case "IntID":
			return "execute.AppendIntID(b, " + expr + ")"
		case "Boolean":
			return "strconv.AppendBool(b, " + expr + ")"
		}
		return ""
	}
	// A scalar's package may have a function beside MarshalX that appends the same.
	if _, ok := pkg.Scope().Lookup("Append" + name).(*types.Func); ok {
		return templates.CurrentImports.Lookup(pkg.Path()) + ".Append" + name + "(b, " + expr + ")"
	}
	return ""
}

// Value returns the Go expression that makes a value of what pointer points
// to: for a leaf the Go value itself, which Marshal takes.
func (f field) Value(pointer string) string {
	if !f.IsLeaf() {
		return f.table.value(f.TypeReference, pointer)
	}
	if target, ok := strings.CutPrefix(pointer, "&"); ok {
		return target
	}
	return "*" + pointer
}

// Addressable reports whether Source can have its address taken.
func (f field) Addressable() bool { return !f.IsMethod() }

// Parent returns the Go type of the field's parents.
func (f field) Parent() string { return ref_(f.Object.Reference()) }

// Abstract are the interfaces and unions by name.
func (t *table) Abstract() map[string]*codegen.Interface {
	abstract := map[string]*codegen.Interface{}
	for name, i := range t.Interfaces {
		if i.Kind != ast.InputObject {
			abstract[name] = i
		}
	}
	return abstract
}
