package config

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

const envPrefix = "TRUNKLINE_"

// variables are those of env that begin with TRUNKLINE_; the last of a name wins.
func variables(env []string) map[string]string {
	vars := map[string]string{}
	for _, pair := range env {
		if name, value, ok := strings.Cut(pair, "="); ok && strings.HasPrefix(name, envPrefix) {
			vars[name] = value
		}
	}
	return vars
}

// decodeEnv puts variables such as TRUNKLINE_SIP__PUBLIC_ADDRESS into the configuration. A variable without a double
// underscore is ours only when it names a whole section, as TRUNKLINE_TRUNKS: Kubernetes makes TRUNKLINE_PORT and
// the like for a service called trunkline.
func (l *loader) decodeEnv(vars map[string]string) {
	sections := fieldNames(reflect.TypeFor[Config]())
	for _, name := range slices.SortedFunc(maps.Keys(vars), compareNatural) {
		keys := strings.Split(strings.ToLower(strings.TrimPrefix(name, envPrefix)), "__")
		if len(keys) == 1 && !slices.Contains(sections, keys[0]) {
			continue
		}
		l.file, l.env = "", name
		l.anchors = map[string]ast.Node{}
		l.decodeVariable(reflect.ValueOf(&l.config).Elem(), "", keys, vars[name])
	}
	l.env = ""
}

// decodeVariable walks from v along keys and puts text there.
func (l *loader) decodeVariable(v reflect.Value, path string, keys []string, text string) {
	if len(keys) == 0 {
		l.decodeText(v, path, text)
		return
	}
	name := keys[0]
	switch {
	case v.Kind() == reflect.Struct && len(fieldNames(v.Type())) > 0:
		field, ok := fieldByKey(v, name)
		if !ok {
			l.mistake(Mistake{Origin: Origin{Env: l.env}, Key: join(path, name), Problem: unknownKey(name, fieldNames(v.Type()))})
			return
		}
		l.decodeVariable(field, join(path, name), keys[1:], text)
	case v.Kind() == reflect.Slice:
		i, err := strconv.Atoi(name)
		switch {
		case err != nil || i < 0 || i > v.Len():
			l.mistake(Mistake{Origin: Origin{Env: l.env}, Key: path + "[" + name + "]", Problem: "is no place in this list",
				Allowed: fmt.Sprintf("0 to %d, the last adds an entry", v.Len())})
			return
		case i == v.Len():
			v.Set(reflect.Append(v, newElement(v.Type().Elem())))
		default:
			v.Set(reflect.AppendSlice(reflect.MakeSlice(v.Type(), 0, v.Len()), v)) // the old one may be shared
		}
		l.decodeVariable(v.Index(i), at(path, i), keys[1:], text)
	default:
		l.mistake(Mistake{Origin: Origin{Env: l.env}, Key: join(path, name), Problem: "is no key"})
	}
}

// decodeText reads the text of a variable: a single value as it is, a list in YAML or separated by commas, a section in YAML.
func (l *loader) decodeText(v reflect.Value, path, text string) {
	l.origins[path] = Origin{Env: l.env}
	delete(l.wrong, path)
	var err error
	switch {
	case v.Kind() == reflect.Pointer:
		if text == "" || text == "null" {
			v.SetZero()
			return
		}
		element := reflect.New(v.Type().Elem())
		if err = setText(element.Elem(), path, text); err == nil {
			v.Set(element)
		}
	case v.Kind() == reflect.Slice && !strings.HasPrefix(strings.TrimSpace(text), "[") && isScalar(v.Type().Elem()):
		list := reflect.MakeSlice(v.Type(), 0, 0)
		for word := range strings.SplitSeq(text, ",") {
			if word = strings.TrimSpace(word); word == "" {
				continue
			}
			element := reflect.New(v.Type().Elem()).Elem()
			if err = setText(element, path, word); err != nil {
				break
			}
			list = reflect.Append(list, element)
		}
		v.Set(list)
	case isScalar(v.Type()):
		err = setText(v, path, text)
	default:
		file, err := parser.ParseBytes([]byte(text), 0, parser.AllowDuplicateMapKey())
		if err != nil {
			l.syntax(err)
			return
		}
		for _, document := range file.Docs {
			if document.Body != nil {
				l.decode(document.Body, v, path)
			}
		}
		return
	}
	if err != nil {
		l.mistake(Mistake{Origin: Origin{Env: l.env}, Key: path, Problem: err.Error(), Allowed: describe(path).allow()})
	}
}

// isScalar reports whether a value of type t is written as one word.
func isScalar(t reflect.Type) bool {
	if reflect.PointerTo(t).Implements(textUnmarshaler) {
		return true
	}
	return t.Kind() != reflect.Struct && t.Kind() != reflect.Slice && t.Kind() != reflect.Pointer
}

// compareNatural puts TRUNKLINE_TRUNKS__2 before TRUNKLINE_TRUNKS__10, so that entries can be added in order.
func compareNatural(a, b string) int {
	as, bs := strings.Split(a, "__"), strings.Split(b, "__")
	for i := range min(len(as), len(bs)) {
		x, errX := strconv.Atoi(as[i])
		y, errY := strconv.Atoi(bs[i])
		if errX == nil && errY == nil && x != y {
			return x - y
		}
		if c := strings.Compare(as[i], bs[i]); c != 0 {
			return c
		}
	}
	return len(as) - len(bs)
}

var textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
