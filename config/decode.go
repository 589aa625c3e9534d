package config

import (
	"encoding"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxValues bounds the values of one file, so that aliases of aliases cannot fill the memory. A trunk has about 35.
const maxValues = 2_000_000

// loader gathers values, where each came from, and every mistake on the way.
type loader struct {
	config   Config
	origins  map[string]Origin // by key path
	mistakes Mistakes
	wrong    map[string]bool // key paths with a mistake, so that one cause is told once
	file     string          // name for messages; empty while the environment is read
	env      string          // name of the variable being read
	anchors  map[string]ast.Node
	values   int
}

// decodeFile reads one YAML document into the configuration.
func (l *loader) decodeFile(name string, body []byte) {
	l.file, l.env = name, ""
	l.anchors = map[string]ast.Node{}
	file, err := parser.ParseBytes(body, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		l.syntax(err)
		return
	}
	documents := slices.DeleteFunc(file.Docs, func(d *ast.DocumentNode) bool { return d.Body == nil })
	if len(documents) > 1 {
		l.mistake(Mistake{Origin: l.origin(documents[1].Body), Problem: "a second document begins; one is allowed"})
		return
	}
	if len(documents) == 1 {
		l.decode(documents[0].Body, reflect.ValueOf(&l.config).Elem(), "")
	}
}

func (l *loader) syntax(err error) {
	m := Mistake{Origin: Origin{File: l.file, Env: l.env}, Problem: "not YAML: " + err.Error()}
	if syntax, ok := errors.AsType[*yaml.SyntaxError](err); ok {
		m.Problem = "not YAML: " + syntax.Message
		if t := syntax.Token; t != nil && t.Position != nil && l.env == "" {
			m.Line = t.Position.Line
		}
	}
	l.mistake(m)
}

// origin is where node stands.
func (l *loader) origin(node ast.Node) Origin {
	if l.env != "" {
		return Origin{Env: l.env}
	}
	o := Origin{File: l.file}
	if node != nil {
		if t := node.GetToken(); t != nil && t.Position != nil {
			o.Line = t.Position.Line
		}
	}
	return o
}

func (l *loader) mistake(m Mistake) {
	if m.Key != "" {
		l.wrong[m.Key] = true
	}
	l.mistakes = append(l.mistakes, m)
}

// refuse notes a mistake at node.
func (l *loader) refuse(node ast.Node, path, problem string) {
	l.mistake(Mistake{Origin: l.origin(node), Key: path, Problem: problem, Allowed: describe(path).allow()})
}

// decode puts node into v, whose key path is path.
func (l *loader) decode(node ast.Node, v reflect.Value, path string) {
	if l.values++; l.values > maxValues {
		if l.values == maxValues+1 {
			l.mistake(Mistake{Origin: l.origin(node), Problem: fmt.Sprintf("more than %d values", maxValues)})
		}
		return
	}
	node, ok := l.resolve(node, path)
	if !ok {
		return
	}
	if _, null := node.(*ast.NullNode); null {
		return // the default stays
	}
	l.origins[path] = l.origin(node)
	if _, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		l.decodeScalar(node, v, path)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		l.decodeStruct(node, v, path)
	case reflect.Slice:
		l.decodeList(node, v, path)
	case reflect.Pointer:
		element := reflect.New(v.Type().Elem())
		l.decode(node, element.Elem(), path)
		if !l.wrong[path] {
			v.Set(element)
		}
	default:
		l.decodeScalar(node, v, path)
	}
}

// resolve follows anchors, aliases and tags to the value itself.
func (l *loader) resolve(node ast.Node, path string) (ast.Node, bool) {
	for range 100 {
		switch n := node.(type) {
		case *ast.AnchorNode:
			l.anchors[nameOf(n.Name)] = n.Value
			node = n.Value
		case *ast.AliasNode:
			name := nameOf(n.Value)
			target, ok := l.anchors[name]
			if !ok {
				l.refuse(node, path, fmt.Sprintf("unknown alias *%s", name))
				return nil, false
			}
			node = target // an alias inside its own anchor ends where the types do
		case *ast.TagNode:
			node = n.Value
		case nil:
			return nil, false
		default:
			return node, true
		}
	}
	l.refuse(node, path, "aliases lead nowhere")
	return nil, false
}

func nameOf(node ast.Node) string {
	if node == nil || node.GetToken() == nil {
		return ""
	}
	return node.GetToken().Value
}

// pairs returns the entries of a mapping, with merged ones (<<) behind its own.
func (l *loader) pairs(node ast.Node, path string, depth int) ([]*ast.MappingValueNode, bool) {
	var all []*ast.MappingValueNode
	switch n := node.(type) {
	case *ast.MappingNode:
		all = n.Values
	case *ast.MappingValueNode:
		all = []*ast.MappingValueNode{n}
	default:
		return nil, false
	}
	if l.values += len(all); l.values > maxValues {
		return nil, true // decode tells
	}
	var own, merged []*ast.MappingValueNode
	for _, pair := range all {
		if _, ok := pair.Key.(*ast.MergeKeyNode); !ok {
			own = append(own, pair)
			continue
		}
		value, ok := l.resolve(pair.Value, path)
		if !ok || depth > 10 {
			continue
		}
		more, ok := l.pairs(value, path, depth+1)
		if !ok {
			l.refuse(pair, path, "<< needs a mapping")
		}
		merged = append(merged, more...)
	}
	if len(merged) == 0 {
		return own, true
	}
	set := make(map[string]bool, len(own))
	for _, pair := range own {
		set[nameOf(pair.Key)] = true
	}
	for _, pair := range merged {
		if name := nameOf(pair.Key); !set[name] {
			set[name] = true
			own = append(own, pair)
		}
	}
	return own, true
}

func (l *loader) decodeStruct(node ast.Node, v reflect.Value, path string) {
	pairs, ok := l.pairs(node, path, 0)
	if !ok {
		l.mistake(Mistake{Origin: l.origin(node), Key: path, Problem: "must be a mapping of keys to values", Allowed: strings.Join(fieldNames(v.Type()), ", ")})
		return
	}
	seen := map[string]int{}
	for _, pair := range pairs {
		name := nameOf(pair.Key)
		keyPath := join(path, name)
		field, ok := fieldByKey(v, name)
		if !ok {
			l.mistake(Mistake{Origin: l.origin(pair.Key), Key: keyPath, Problem: unknownKey(name, fieldNames(v.Type()))})
			continue
		}
		if line, twice := seen[name]; twice {
			problem := "set twice"
			if line > 0 {
				problem = fmt.Sprintf("set twice, first in line %d", line)
			}
			l.mistake(Mistake{Origin: l.origin(pair.Key), Key: keyPath, Problem: problem})
			continue
		}
		seen[name] = l.origin(pair.Key).Line
		l.decode(pair.Value, field, keyPath)
		if _, set := l.origins[keyPath]; !set {
			l.origins[keyPath] = l.origin(pair.Key)
		}
	}
}

func (l *loader) decodeList(node ast.Node, v reflect.Value, path string) {
	sequence, ok := node.(*ast.SequenceNode)
	if !ok {
		l.refuse(node, path, "must be a list")
		return
	}
	list := reflect.MakeSlice(v.Type(), 0, min(len(sequence.Values), 1024))
	for i, item := range sequence.Values {
		if l.values > maxValues {
			break
		}
		elementPath := at(path, i)
		element := newElement(v.Type().Elem())
		resolved, ok := l.resolve(item, elementPath)
		if ok {
			if _, null := resolved.(*ast.NullNode); null {
				l.refuse(item, elementPath, "is empty")
			} else {
				l.decode(item, element, elementPath)
			}
		}
		list = reflect.Append(list, element)
	}
	v.Set(list)
}

// newElement returns a settable value of type t with its defaults.
func newElement(t reflect.Type) reflect.Value {
	v := reflect.New(t).Elem()
	switch v.Addr().Interface().(type) {
	case *Trunk:
		v.Set(reflect.ValueOf(DefaultTrunk()))
	case *Agent:
		v.Set(reflect.ValueOf(DefaultAgent()))
	case *Organization:
		v.Set(reflect.ValueOf(defaultOrganization()))
	case *Destination:
		v.Set(reflect.ValueOf(defaultDestination()))
	case *Route:
		v.Set(reflect.ValueOf(defaultRoute()))
	}
	return v
}

func (l *loader) decodeScalar(node ast.Node, v reflect.Value, path string) {
	text, ok := scalarText(node)
	if !ok {
		l.refuse(node, path, "must be a single value")
		return
	}
	if err := setText(v, path, text); err != nil {
		l.refuse(node, path, err.Error())
	}
}

// scalarText is the text of a scalar as it was written, so that 0049 and +1555 stay what they are.
func scalarText(node ast.Node) (string, bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return nameOf(n), true
	}
	return "", false
}

// setText reads text into v, a scalar.
func setText(v reflect.Value, path, text string) error {
	if choices := describe(path).choices; choices != nil && !slices.Contains(choices, text) {
		return fmt.Errorf("%s is unknown%s", quoteShort(text), didYouMean(text, choices))
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if err := u.UnmarshalText([]byte(text)); err != nil {
			switch v.Interface().(type) {
			case slog.Level:
				return fmt.Errorf("%s is unknown", quoteShort(text))
			case Secret, Duration, Bytes, Listener, HostPort, Source, URI, PortRange, Failover, HeaderName:
				return err
			}
			return fmt.Errorf("%s is not an address", quoteShort(text))
		}
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		if text != "true" && text != "false" {
			return fmt.Errorf("%s is neither true nor false", quoteShort(text))
		}
		v.SetBool(text == "true")
	case reflect.Int:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return fmt.Errorf("%s is not a whole number", quoteShort(text))
		}
		v.SetInt(n)
	case reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return fmt.Errorf("%s is not a number", quoteShort(text))
		}
		v.SetFloat(f)
	default:
		panic("config: no reader for " + v.Type().String())
	}
	return nil
}

// quoteShort quotes text for a message, cut to what a line can bear.
func quoteShort(text string) string {
	if len(text) > 64 {
		return strconv.Quote(text[:61] + "...")
	}
	return strconv.Quote(text)
}

// join is the key path of name within path.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// fieldByKey returns the field of struct v that the key name stands for.
func fieldByKey(v reflect.Value, name string) (reflect.Value, bool) {
	for i := range v.NumField() {
		if tag := v.Type().Field(i).Tag.Get("yaml"); tag != "" && tag == name {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

// fieldNames are the keys of struct type t in order.
func fieldNames(t reflect.Type) []string {
	var names []string
	for field := range t.Fields() {
		if tag := field.Tag.Get("yaml"); tag != "" {
			names = append(names, tag)
		}
	}
	return names
}
