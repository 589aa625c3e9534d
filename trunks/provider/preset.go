package provider

import (
	_ "embed"
	"fmt"
	"sync"
	"time"

	"github.com/goccy/go-yaml"

	"trunkline/config"
)

//go:embed presets.yaml
var presetsYAML []byte

// Preset is what a trunk of a provider is like unless the customer says otherwise. Empty means: nothing is known, or the
// customer must say.
type Preset struct {
	Server          string // host; the SIP domain unless that is given
	Transport       config.Transport
	Register        *bool // nil: a trunk with a user name registers
	RegisterExpires time.Duration
	Realm           string // expected in challenges; to look at, not to insist on
	SourceAddresses []string
	NumberFormat    string // e164_plus, e164 or national
	CPSLimit        *float64
	OptionsInterval time.Duration // OPTIONS more often than this are unwelcome; 0: nothing known
}

// PresetOf returns a copy of the preset of kind.
func PresetOf(kind Kind) Preset {
	p := presets()[kind]
	p.SourceAddresses = append([]string(nil), p.SourceAddresses...)
	return p
}

// presetRow is a row of presets.yaml.
type presetRow struct {
	Provider Kind   `yaml:"provider"`
	Field    string `yaml:"field"`
	Value    any    `yaml:"value"`
	Source   string `yaml:"source"`
	Date     string `yaml:"date"`
}

var presets = sync.OnceValue(func() map[Kind]Preset {
	table, err := parsePresets(presetsYAML)
	if err != nil {
		panic(err) // the file is ours
	}
	return table
})

// parsePresets reads rows. The error names the row that is wrong.
func parsePresets(text []byte) (map[Kind]Preset, error) {
	var rows []presetRow
	if err := yaml.UnmarshalWithOptions(text, &rows, yaml.Strict()); err != nil {
		return nil, err
	}
	table := map[Kind]Preset{}
	for i, row := range rows {
		p := table[row.Provider]
		if _, ok := fields[row.Provider]; !ok {
			return nil, fmt.Errorf("row %d: provider %q is unknown", i+1, row.Provider)
		}
		if _, err := time.Parse(time.DateOnly, row.Date); err != nil || row.Source == "" {
			return nil, fmt.Errorf("row %d: source or date is missing", i+1)
		}
		if err := p.set(row.Field, row.Value); err != nil {
			return nil, fmt.Errorf("row %d: %s: %w", i+1, row.Field, err)
		}
		table[row.Provider] = p
	}
	return table, nil
}

func (p *Preset) set(field string, value any) (err error) {
	switch field {
	case "server":
		p.Server, err = as[string](value)
	case "transport":
		var word string
		word, err = as[string](value)
		p.Transport = config.Transport(word)
	case "register":
		var yes bool
		yes, err = as[bool](value)
		p.Register = &yes
	case "register_expires":
		p.RegisterExpires, err = duration(value)
	case "realm":
		p.Realm, err = as[string](value)
	case "number_format":
		p.NumberFormat, err = as[string](value)
	case "options_interval":
		p.OptionsInterval, err = duration(value)
	case "cps_limit":
		var limit uint64
		limit, err = as[uint64](value)
		p.CPSLimit = new(float64(limit))
	case "source_addresses":
		var list []any
		if list, err = as[[]any](value); err != nil {
			return err
		}
		for _, element := range list {
			address, err := as[string](element)
			if err != nil {
				return err
			}
			p.SourceAddresses = append(p.SourceAddresses, address)
		}
	default:
		return fmt.Errorf("no such field")
	}
	return err
}

func as[T any](value any) (T, error) {
	v, ok := value.(T)
	if !ok {
		return v, fmt.Errorf("%v is no %T", value, v)
	}
	return v, nil
}

func duration(value any) (time.Duration, error) {
	word, err := as[string](value)
	if err != nil {
		return 0, err
	}
	return time.ParseDuration(word)
}
