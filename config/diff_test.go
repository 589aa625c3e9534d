package config

import (
	"reflect"
	"testing"
)

func TestDiff(t *testing.T) {
	load := func(text string) Config {
		t.Helper()
		c, err := Load(write(t, text), nil)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	old := load(`
sip: {shards: 1}
trunks:
  - {name: b, server: 192.0.2.1, cps_limit: 1, auth_user: u, auth_password: one}
  - {name: a, server: 192.0.2.1, source_addresses: [192.0.2.1]}
  - {name: gone, server: 192.0.2.1}
agents: [{name: app, destinations: [{uri: "sip:192.0.2.3"}]}]
numbers: [{number: "+15550001", trunk: a}, {number: "+15550002", trunk: a}]
`)
	new := load(`
sip: {shards: 2, timers: {t1: 1s}}
log: {level: debug}
limits: {max_calls: 5}
trunks:
  - {name: new, server: 192.0.2.1}
  - {name: a, server: 192.0.2.1, source_addresses: [192.0.2.1, 192.0.2.2], timers: {t1: 1s}}
  - {name: b, server: 192.0.2.1, cps_limit: 1, auth_user: u, auth_password: two}
agents: [{name: app, destinations: [{uri: "sip:192.0.2.3", weight: 2}]}]
numbers: [{number: "+15550002", trunk: b}]
`)
	want := Changes{
		Trunks: Entries{
			Added:   []string{"new"},
			Removed: []string{"gone"},
			Changed: []Entry{{"a", []string{"source_addresses", "timers.t1"}}, {"b", []string{"auth_password"}}},
		},
		Agents:  Entries{Changed: []Entry{{"app", []string{"destinations"}}}},
		Numbers: Entries{Removed: []string{"+15550001"}, Changed: []Entry{{"+15550002", []string{"trunk"}}}},
		Keys:    []string{"limits.max_calls", "log.level", "sip.shards", "sip.timers.t1"},
		Restart: []string{"sip.shards", "sip.timers.t1"},
	}
	if got := Diff(old, new); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if c := Diff(old, old); !c.Empty() {
		t.Errorf("nothing changed, but %+v", c)
	}
}
