package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
)

// column of a table: a title and the path of a value in the API's object, as "registration.state".
type column struct{ title, path string }

// show writes what the API answered: as it is in JSON or YAML, as a table of columns otherwise.
func show(cmd *cobra.Command, format string, answer json.RawMessage, columns []column) error {
	out := cmd.OutOrStdout()
	switch format {
	case "json":
		var b bytes.Buffer
		if err := json.Indent(&b, answer, "", "  "); err != nil {
			return err
		}
		b.WriteByte('\n')
		_, err := b.WriteTo(out)
		return err
	case "yaml":
		text, err := yaml.JSONToYAML(answer)
		if err != nil {
			return err
		}
		_, err = out.Write(text)
		return err
	}
	var rows []map[string]any
	if err := decodeNumbers(answer, &rows); err == nil {
		return showTable(out, rows, columns)
	}
	return showObject(out, answer)
}

func showTable(out io.Writer, rows []map[string]any, columns []column) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for i, c := range columns {
		if i > 0 {
			fmt.Fprint(table, "\t")
		}
		fmt.Fprint(table, c.title)
	}
	fmt.Fprintln(table)
	for _, row := range rows {
		for i, c := range columns {
			if i > 0 {
				fmt.Fprint(table, "\t")
			}
			fmt.Fprint(table, word(at(row, c.path)))
		}
		fmt.Fprintln(table)
	}
	return table.Flush()
}

// showObject writes one object, a line for each member, in the API's order.
func showObject(out io.Writer, answer json.RawMessage) error {
	decoder := json.NewDecoder(bytes.NewReader(answer))
	decoder.UseNumber()
	if _, err := decoder.Token(); err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return err
		}
		var value any
		if err := decoder.Decode(&value); err != nil {
			return err
		}
		text := word(value)
		if strings.Contains(text, "\n") { // a ladder
			fmt.Fprintf(table, "%v\n%s\n", name, text)
			continue
		}
		fmt.Fprintf(table, "%v\t%s\n", name, text)
	}
	return table.Flush()
}

// decodeNumbers decodes JSON and keeps numbers as they are written.
func decodeNumbers(text json.RawMessage, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	return decoder.Decode(into)
}

// at follows a path of members.
func at(row map[string]any, path string) any {
	var value any = row
	for name := range strings.SplitSeq(path, ".") {
		object, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = object[name]
	}
	return value
}

// word is a value in a table. It holds no tab and, but for ladders, no line break.
func word(value any) string {
	switch v := value.(type) {
	case nil:
		return "-"
	case string:
		if v == "" {
			return "-"
		}
		return strings.ReplaceAll(v, "\t", " ")
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case json.Number:
		if f, err := v.Float64(); err == nil && strings.Contains(v.String(), ".") {
			return strconv.FormatFloat(f, 'f', -1, 64)
		}
		return v.String()
	case []any:
		if len(v) == 0 {
			return "-"
		}
		words := make([]string, len(v))
		for i := range v {
			words[i] = word(v[i])
		}
		return strings.Join(words, ", ")
	case map[string]any:
		if uri, ok := v["uri"]; ok { // a destination
			return word(uri)
		}
	}
	text, err := json.Marshal(value)
	if err != nil {
		return "?"
	}
	return string(text)
}
