package provider

import (
	_ "embed"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"
)

//go:embed countries.yaml
var countriesYAML []byte

var countries = sync.OnceValue(func() map[string][]string {
	table := map[string][]string{}
	if err := yaml.UnmarshalWithOptions(countriesYAML, &table, yaml.Strict()); err != nil {
		panic(err) // the file is ours
	}
	return table
})

// countriesOf returns the countries (ISO 3166-1 alpha-2) an E.164 number with plus may be in; nil when that is not known.
func countriesOf(number string) []string {
	digits, ok := strings.CutPrefix(number, "+")
	if !ok {
		return nil
	}
	for n := min(4, len(digits)); n > 0; n-- {
		if found, ok := countries()[digits[:n]]; ok {
			return found
		}
	}
	return nil
}
