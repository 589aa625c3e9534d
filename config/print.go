package config

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strconv"
	"strings"
)

// YAML is the effective configuration as a file, every key with its value, and behind each value that is no default
// where it comes from. Secrets are masked.
func (c Config) YAML() []byte {
	var b bytes.Buffer
	c.writeYAML(&b, reflect.ValueOf(c), "", "")
	return b.Bytes()
}

func (c Config) writeYAML(b *bytes.Buffer, v reflect.Value, path, indent string) {
	prefix := indent
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("yaml")
		if name == "" {
			continue
		}
		field, keyPath := v.Field(i), join(path, name)
		b.WriteString(prefix + name + ":")
		prefix = strings.Repeat(" ", len(indent)) // the first line of a list entry begins with its dash
		switch {
		case field.Kind() == reflect.Struct && !isScalar(field.Type()):
			b.WriteString("\n")
			c.writeYAML(b, field, keyPath, prefix+"  ")
		case field.Kind() == reflect.Slice && field.Len() > 0 && !isScalar(field.Type().Elem()):
			b.WriteString("\n")
			for j := range field.Len() {
				c.writeYAML(b, field.Index(j), at(keyPath, j), prefix+"  - ")
			}
		default:
			b.WriteString(" " + yamlValue(field))
			if o := c.Origin(keyPath); o != (Origin{}) {
				b.WriteString("  # " + o.String())
			}
			b.WriteString("\n")
		}
	}
}

// yamlValue is a single value or a list of them in flow style. Text is quoted as in JSON, which YAML reads as well.
func yamlValue(v reflect.Value) string {
	switch plain := plainValue(v).(type) {
	case nil:
		return "null"
	case []any:
		words := make([]string, len(plain))
		for i := range plain {
			words[i] = yamlValue(reflect.ValueOf(plain[i]))
		}
		return "[" + strings.Join(words, ", ") + "]"
	case string:
		if isPlainWord(plain) {
			return plain
		}
		text, err := json.Marshal(plain)
		if err != nil {
			return strconv.Quote(plain)
		}
		return string(text)
	default:
		return fmt.Sprint(plain)
	}
}

// isPlainWord reports whether YAML reads s as a string without quotes, on the safe side.
func isPlainWord(s string) bool {
	if s == "" || !(s[0] >= 'a' && s[0] <= 'z' || s[0] == '/') {
		return false
	}
	switch s {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-") == ""
}

// JSON is the effective configuration as one object. Secrets are masked.
func (c Config) JSON() ([]byte, error) {
	return json.MarshalIndent(orderedValue(reflect.ValueOf(c)), "", "  ")
}

// plainValue is v as nil, bool, number, string or list of these.
func plainValue(v reflect.Value) any {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	switch value := v.Interface().(type) {
	case slog.Level:
		return strings.ToLower(value.String())
	case Secret:
		return value.String()
	case encoding.TextMarshaler:
		text, err := value.MarshalText()
		if err != nil {
			return ""
		}
		return string(text)
	}
	switch v.Kind() {
	case reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = plainValue(v.Index(i))
		}
		return list
	case reflect.String:
		return v.String()
	case reflect.Int:
		return v.Int()
	case reflect.Float64:
		return v.Float()
	case reflect.Bool:
		return v.Bool()
	}
	panic("config: no printer for " + v.Type().String())
}

// object is a JSON object that keeps the order of its keys.
type object []member

type member struct {
	name  string
	value any
}

// MarshalJSON writes the members in order.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(m.name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(m.value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// orderedValue is v for JSON, structs as objects with the keys of the file.
func orderedValue(v reflect.Value) any {
	switch {
	case isScalar(v.Type()) || v.Kind() == reflect.Pointer:
		return plainValue(v)
	case v.Kind() == reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = orderedValue(v.Index(i))
		}
		return list
	}
	var o object
	for i := range v.NumField() {
		if name := v.Type().Field(i).Tag.Get("yaml"); name != "" {
			o = append(o, member{name, orderedValue(v.Field(i))})
		}
	}
	return o
}
