package account

import (
	"encoding/binary"
	"encoding/json"
	"maps"
	"slices"

	"trunkline/trunks/provider"
)

// encode is JSON of an event's data. Secrets in it come out masked.
func encode(data any) (json.RawMessage, error) {
	if data == nil {
		return json.RawMessage("{}"), nil
	}
	return json.Marshal(data)
}

// credentialsText is credentials in one form, whatever the order they were given in. It holds secrets.
func credentialsText(org string, kind provider.Kind, c provider.Credentials) []byte {
	b := framed(framed(framed(nil, "credentials"), org), string(kind))
	for _, name := range slices.Sorted(maps.Keys(c)) {
		if value := c[name].Reveal(); value != "" { // as if it were not there
			b = framed(framed(b, name), value)
		}
	}
	return b
}

// sipConfigText is a sip_config in one form.
func sipConfigText(org string, kind provider.Kind, c SIPConfig) ([]byte, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	return append(framed(framed(framed(nil, "sip_config"), org), string(kind)), text...), nil
}

// framed appends a string with its length before it, so that no two lists of strings look alike.
func framed(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}
