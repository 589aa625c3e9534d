package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"testing"
)

const full = `
sip: {listen: ["udp://192.0.2.9:5060?public=203.0.113.7", "tls://[2001:db8::9]:5061"], user_agent: "a: b # c", public_address: 203.0.113.8}
log: {level: debug, format: json}
trunks:
  - name: carrier
    server: "[2001:db8::1]"
    domain: Sip.Example.COM
    transport: tls
    auth_user: alice
    auth_password: hunter2
    source_addresses: ["tls://192.0.2.1", 198.51.100.0/24, "udp://[2001:db8::1]:5070", sip.example.com]
    cps_limit: 0.5
    max_calls: 0
    tls: {server_name: sip.example.com}
agents:
  - {name: app, destinations: [{uri: "sip:pool@app.example.net:5071;transport=tls", priority: 2, weight: 0}]}
numbers:
  - {number: "+15550001234", trunk: carrier, inbound_agent: app}
`

func TestPrintedConfigurationReadsBack(t *testing.T) {
	c, err := Load(write(t, full), []string{"TRUNKLINE_DRAIN__DEADLINE=90s"})
	if err != nil {
		t.Fatal(err)
	}
	printed := c.YAML()
	if err := os.WriteFile("printed.yaml", printed, 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := Load("printed.yaml", nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, printed)
	}
	again.Trunks[0].AuthPassword = c.Trunks[0].AuthPassword // printed as a mask
	if changes := Diff(c, again); !changes.Empty() {
		t.Errorf("%+v\n%s", changes, printed)
	}
	for _, want := range []string{
		"    auth_password: \"********\"  # sipgo.yaml:10\n",
		"  deadline: \"1m30s\"  # TRUNKLINE_DRAIN__DEADLINE\n",
		"  shards: 0\n",
	} {
		if !strings.Contains(string(printed), want) {
			t.Errorf("lacks %q:\n%s", want, printed)
		}
	}
}

func TestNothingPrintsASecret(t *testing.T) {
	c, err := Load(write(t, full), nil)
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := c.JSON()
	if err != nil {
		t.Fatal(err)
	}
	plain, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("loaded", "config", c, "password", c.Trunks[0].AuthPassword)
	other := c
	other.Trunks = append([]Trunk(nil), c.Trunks...)
	other.Trunks[0].AuthPassword = "hunter2-changed"
	for name, text := range map[string]string{
		"YAML": string(c.YAML()), "JSON": string(asJSON), "encoding/json": string(plain), "slog": log.String(),
		"%v": fmt.Sprintf("%v", c), "%+v": fmt.Sprintf("%+v", c), "%#v": fmt.Sprintf("%#v", c.Trunks[0]),
		"%q": fmt.Sprintf("%q", c.Trunks[0].AuthPassword), "%x": fmt.Sprintf("%x", c.Trunks[0].AuthPassword), "Diff": fmt.Sprintf("%+v", Diff(c, other)),
	} {
		if strings.Contains(text, "hunter2") || strings.Contains(text, fmt.Sprintf("%x", "hunter2")) {
			t.Errorf("%s tells the password:\n%s", name, text)
		}
	}
}

func TestSchemaFitsTheSample(t *testing.T) {
	text, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	c, err := Load(sample, nil)
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := c.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var value any
	if err := json.Unmarshal(asJSON, &value); err != nil {
		t.Fatal(err)
	}
	checkSchema(t, "", schema, value)
}

// checkSchema understands the few words that Schema uses.
func checkSchema(t *testing.T, path string, schema map[string]any, value any) {
	t.Helper()
	types, ok := schema["type"].([]any)
	if !ok {
		types = []any{schema["type"]}
	}
	got := "null"
	switch v := value.(type) {
	case map[string]any:
		got = "object"
		properties := schema["properties"].(map[string]any)
		if schema["additionalProperties"] != false || len(properties) != len(v) {
			t.Errorf("%s: %d properties in the schema, %d keys", path, len(properties), len(v))
		}
		for name, member := range v {
			if property, ok := properties[name].(map[string]any); ok {
				checkSchema(t, join(path, name), property, member)
			} else {
				t.Errorf("%s is not in the schema", join(path, name))
			}
		}
	case []any:
		got = "array"
		for _, element := range v {
			checkSchema(t, path+"[]", schema["items"].(map[string]any), element)
		}
	case string:
		got = "string"
		if words, ok := schema["enum"].([]any); ok && !contains(words, v) {
			t.Errorf("%s: %q is not in %v", path, v, words)
		}
	case bool:
		got = "boolean"
	case float64:
		got = "number"
		if v == float64(int64(v)) && contains(types, "integer") {
			got = "integer"
		}
	}
	if !contains(types, got) {
		t.Errorf("%s: %s is not in %v", path, got, types)
	}
	if path != "" && !strings.HasSuffix(path, "[]") && schema["description"] == nil {
		t.Errorf("%s has no description", path)
	}
}

func contains(list []any, v any) bool {
	for _, element := range list {
		if reflect.DeepEqual(element, v) {
			return true
		}
	}
	return false
}
