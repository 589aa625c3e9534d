package config

import (
	"encoding/json"
	"log/slog"
	"net/netip"
	"reflect"
)

// Schema is the JSON Schema (2020-12) of sipgo.yaml, for editors and for validation elsewhere. It knows types, words and
// defaults; ranges and what must fit together are Load's.
func Schema() ([]byte, error) {
	root := append(object{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"title", "sipgo.yaml"},
	}, schemaOf(reflect.ValueOf(Default()), "")...)
	return json.MarshalIndent(root, "", "  ")
}

// schemaOf is the schema of the key at path, whose default is v.
func schemaOf(v reflect.Value, path string) object {
	var o object
	k := describe(path)
	if _, own := keyByPath[k.path]; own && k.path == indexes.ReplaceAllString(path, "[]") && k.doc != "" {
		o = append(o, member{"description", k.doc})
	}
	switch {
	case v.Kind() == reflect.Slice:
		o = append(o, member{"type", "array"}, member{"items", schemaOf(newElement(v.Type().Elem()), path+"[]")})
		if isScalar(v.Type().Elem()) {
			o = append(o, member{"default", plainValue(v)})
		}
		return o
	case v.Kind() == reflect.Struct && !isScalar(v.Type()):
		var properties object
		for i := range v.NumField() {
			if name := v.Type().Field(i).Tag.Get("yaml"); name != "" {
				properties = append(properties, member{name, schemaOf(v.Field(i), join(path, name))})
			}
		}
		return append(o, member{"type", "object"}, member{"additionalProperties", false}, member{"properties", properties})
	}
	o = append(o, member{"type", schemaTypes(v)})
	if len(k.choices) > 0 {
		o = append(o, member{"enum", k.choices})
	}
	return append(o, member{"default", plainValue(v)})
}

// schemaTypes are the JSON types that v may be written in. Numbers stand for strings too, as in country_code: 49.
func schemaTypes(v reflect.Value) any {
	t, types := v.Type(), []string(nil)
	nullable := false
	if t.Kind() == reflect.Pointer {
		t, nullable = t.Elem(), true
	}
	switch {
	case t == reflect.TypeFor[slog.Level](), t == reflect.TypeFor[netip.Addr](), t == reflect.TypeFor[Secret]():
		types = []string{"string"}
	case t.Kind() == reflect.Bool:
		types = []string{"boolean"}
	case t == reflect.TypeFor[Duration](), t == reflect.TypeFor[Bytes]():
		types = []string{"string", "integer"}
	case t.Kind() == reflect.Int:
		types = []string{"integer"}
	case t.Kind() == reflect.Float64:
		types = []string{"number"}
	default:
		types = []string{"string", "number"}
	}
	nullable = nullable || t.Kind() == reflect.String
	if nullable {
		types = append(types, "null")
	}
	if len(types) == 1 {
		return types[0]
	}
	return types
}
