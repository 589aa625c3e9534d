package provider

import (
	_ "embed"
	"slices"
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

// CallingCode returns the digits of a country's code (E.164 §6.2.1) for its ISO 3166-1 alpha-2 code in capitals; empty when
// there is none. Countries that share one, as those of the North American plan, have the shared one.
func CallingCode(country string) string {
	best := ""
	for digits, all := range countries() {
		if slices.Contains(all, country) && (best == "" || len(digits) < len(best) || len(digits) == len(best) && digits < best) {
			best = digits
		}
	}
	if strings.HasPrefix(best, "1") || strings.HasPrefix(best, "7") {
		return best[:1]
	}
	return best
}
