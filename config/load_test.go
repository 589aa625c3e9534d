package config

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

const sample = "../sipgo.yaml"

func TestSampleHoldsTheDefaults(t *testing.T) {
	c, err := Load(sample, nil)
	if err != nil {
		t.Fatal(err)
	}
	trunk := DefaultTrunk()
	trunk.Name, trunk.Server, trunk.SourceAddresses = "carrier", c.Trunks[0].Server, c.Trunks[0].SourceAddresses
	if len(c.Trunks) != 1 || !reflect.DeepEqual(c.Trunks[0], trunk) {
		t.Errorf("trunk in the sample is not the default one:\n got %+v\nwant %+v", c.Trunks, trunk)
	}
	if d := c.Agents[0].Destinations[0]; d.Priority != defaultDestination().Priority || d.Weight != defaultDestination().Weight {
		t.Errorf("destination in the sample is not the default one: %+v", d)
	}
	want := Default()
	organization := defaultOrganization()
	organization.Name = "acme"
	want.Organizations = []Organization{organization}
	want.Trunks, want.Agents, want.Numbers = c.Trunks, c.Agents, c.Numbers
	if changes := Diff(want, c); !changes.Empty() {
		t.Errorf("the sample differs from the defaults: %+v", changes)
	}
}

func TestSampleListsEveryKeyWithItsSentence(t *testing.T) {
	text, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Load(sample, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if _, set := c.origins[strings.ReplaceAll(k.path, "[]", "[0]")]; !set && !strings.Contains(string(text), lastKey(k.path)+": null") {
			t.Errorf("%s is not in the sample", k.path)
		}
		if !strings.Contains(string(text), strings.TrimSuffix(k.doc, ".")) {
			t.Errorf("the sample lacks the sentence of %s: %s", k.path, k.doc)
		}
	}
}

func TestKeysDescribeTheTypes(t *testing.T) {
	var inTypes []string
	collectKeys(reflect.TypeFor[Config](), "", &inTypes)
	var described []string
	for _, k := range keys {
		described = append(described, k.path)
		if k.doc == "" {
			t.Errorf("%s has no sentence", k.path)
		}
	}
	slices.Sort(inTypes)
	slices.Sort(described)
	if !slices.Equal(inTypes, described) {
		t.Errorf("keys of the types and of the table differ:\n%v\n%v", inTypes, described)
	}
}

func collectKeys(t reflect.Type, path string, keys *[]string) {
	for field := range t.Fields() {
		name := field.Tag.Get("yaml")
		if name == "" {
			continue
		}
		keyPath, field := join(path, name), field.Type
		*keys = append(*keys, keyPath)
		if field.Kind() == reflect.Slice && !isScalar(field.Elem()) {
			collectKeys(field.Elem(), keyPath+"[]", keys)
		} else if field.Kind() == reflect.Struct && !isScalar(field) {
			collectKeys(field, keyPath, keys)
		}
	}
}

func TestEverySecretHasAFileTwin(t *testing.T) {
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		for f := range typ.Fields() {
			switch {
			case f.Type == reflect.TypeFor[Secret]():
				twin, ok := typ.FieldByName(f.Name + "File")
				if !ok || twin.Tag.Get("yaml") != f.Tag.Get("yaml")+"_file" {
					t.Errorf("%s.%s has no file twin", typ, f.Name)
				}
			case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
				walk(f.Type.Elem())
			case f.Type.Kind() == reflect.Struct && !isScalar(f.Type):
				walk(f.Type)
			}
		}
	}
	walk(reflect.TypeFor[Config]())
}

// write puts text into a file in a new working directory and returns its name.
func write(t *testing.T, text string) string {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.WriteFile("sipgo.yaml", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return "sipgo.yaml"
}

func TestLaterSourcesWin(t *testing.T) {
	path := write(t, `
sip: {user_agent: from-file, shards: 3}
trunks:
  - {name: a, server: 192.0.2.1, cps_limit: 5}
  - {name: b, server: 192.0.2.2}
`)
	c, err := Load(path, []string{
		"TRUNKLINE_SIP__USER_AGENT=from-env",
		"TRUNKLINE_SIP__LISTEN=udp://192.0.2.9:5060, tcp://192.0.2.9:5060",
		"TRUNKLINE_SIP__TIMERS__T1=200ms",
		"TRUNKLINE_TRUNKS__1__SOURCE_ADDRESSES=[192.0.2.2, 198.51.100.0/24]",
		"TRUNKLINE_TRUNKS__0__CPS_LIMIT=null",
		"TRUNKLINE_TRUNKS__2__NAME=c", "TRUNKLINE_TRUNKS__2__SERVER=sip.example.com",
		"TRUNKLINE_AGENTS=[{name: app, destinations: [{uri: 'sip:192.0.2.3'}]}]",
		"TRUNKLINE_PORT=tcp://10.0.0.1:5060", "TRUNKLINE_SERVICE_HOST=10.0.0.1", // as Kubernetes sets them
		"UNRELATED__THING=1",
	})
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case c.SIP.UserAgent != "from-env", c.SIP.Shards != 3, len(c.SIP.Listen) != 2, c.SIP.Timers.T1.D() != 200*time.Millisecond:
		t.Errorf("sip section: %+v", c.SIP)
	case len(c.Trunks) != 3, c.Trunks[2].Server.Host != "sip.example.com", c.Trunks[2].Transport != UDP, c.Trunks[2].CPSWait != Duration(3*time.Second):
		t.Errorf("trunks: %+v", c.Trunks)
	case c.Trunks[0].CPSLimit != nil, len(c.Trunks[1].SourceAddresses) != 2:
		t.Errorf("trunks: %+v", c.Trunks)
	case len(c.Agents) != 1, c.Agents[0].Destinations[0].Weight != 1:
		t.Errorf("agents: %+v", c.Agents)
	}
	if o := c.Origin("sip.shards"); o.String() != "sipgo.yaml:2" {
		t.Errorf("origin of sip.shards: %s", o)
	}
	if o := c.Origin("sip.user_agent"); o.String() != "TRUNKLINE_SIP__USER_AGENT" {
		t.Errorf("origin of sip.user_agent: %s", o)
	}
}

func TestWholeFileInTheEnvironment(t *testing.T) {
	c, err := Load("/nowhere/sipgo.yaml", []string{"TRUNKLINE_CONFIG_BODY=sip: {shards: 2}", "TRUNKLINE_LOG__LEVEL=debug"})
	if err != nil {
		t.Fatal(err)
	}
	if c.SIP.Shards != 2 || c.Log.Level.String() != "DEBUG" {
		t.Errorf("got %+v %+v", c.SIP, c.Log)
	}
	_, err = Load("", []string{"TRUNKLINE_CONFIG_BODY=\nsip: {shrads: 2}"})
	if want := "TRUNKLINE_CONFIG_BODY:2: sip.shrads: unknown key; did you mean shards?"; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestPasswordFromFile(t *testing.T) {
	const text = `trunks: [{name: a, server: 192.0.2.1, auth_user: u, auth_password_file: secret.txt}]`
	path := write(t, text)
	if err := os.WriteFile("secret.txt", []byte("pa ss:word \r\nsecond line\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Trunks[0].AuthPassword.Reveal(); got != "pa ss:word " {
		t.Errorf("got %q", got)
	}
	c, err = Load(path, []string{"TRUNKLINE_TRUNKS__0__AUTH_PASSWORD=other"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Trunks[0].AuthPassword.Reveal() != "other" || c.Trunks[0].AuthPasswordFile != "" {
		t.Error("the environment does not win over the file")
	}
}

func TestAnchorsAndMerges(t *testing.T) {
	c, err := Load(write(t, `
trunks:
  - &base {name: a, server: 192.0.2.1, register: false, max_calls: 4}
  - {<<: *base, name: b, max_calls: 0049}
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if b := c.Trunks[1]; b.Name != "b" || b.Server.Host != "192.0.2.1" || b.Register || *b.MaxCalls != 49 {
		t.Errorf("got %+v", b)
	}
}

func TestValuesStayAsWritten(t *testing.T) {
	c, err := Load(write(t, `
trunks: [{name: 007, server: 192.0.2.1, auth_user: 0123, auth_password: 1e3, country_code: 49, national_prefix: 0}]
numbers: [{number: +4930123456, trunk: 007}]
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if tr := c.Trunks[0]; tr.Name != "007" || tr.AuthUser != "0123" || tr.AuthPassword != "1e3" || tr.NationalPrefix != "0" {
		t.Errorf("got %#v", tr)
	}
	if c.Numbers[0].Number != "+4930123456" {
		t.Errorf("got %+v", c.Numbers[0])
	}
}

func TestNoFileIsNotAnEmptyFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "sipgo.yaml")
	if _, err := Load(path, nil); err == nil || err.Error() != path+": no such file or directory" {
		t.Errorf("got %v", err)
	}
	if _, err := Load(dir, nil); err == nil || err.Error() != dir+": is not a regular file" {
		t.Errorf("got %v", err)
	}
	if _, err := Load("", nil); err != nil {
		t.Error(err)
	}
}
