package registrar

import (
	"net/netip"
	"testing"
	"time"

	"trunkline/sip/transport"
)

func anyone(string) bool { return true }

// What agents have registered over UDP is taken up by the next process with what is left of it; a connection ends with the process.
func TestRestore(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	before := New(Options{})
	tcp := transport.Flow{Proto: transport.TCP, Conn: 7, Remote: netip.MustParseAddrPort("198.51.100.8:40001")}
	before.Register(now, "app", message(t, "a", 7, "Contact: <sip:app@10.0.0.5>;q=0.5;+sip.instance=\"<urn:uuid:1>\";reg-id=1\nExpires: 600\n"), flow)
	before.Register(now, "app", message(t, "b", 1, "Contact: <sip:app@10.0.0.6;transport=tcp>\nExpires: 600\n"), tcp)
	before.Register(now, "brief", message(t, "c", 1, "Contact: <sip:brief@10.0.0.7>\nExpires: 60\n"), flow)
	before.Register(now, "gone", message(t, "d", 1, "Contact: <sip:gone@10.0.0.7>\nExpires: 600\n"), flow)
	kept := before.Changed(now)
	if len(kept) != 3 || len(kept["app"]) != 1 {
		t.Fatalf("kept: %+v", kept)
	}
	if again := before.Changed(now); len(again) != 0 {
		t.Errorf("nothing has changed since: %+v", again)
	}

	now = now.Add(2 * time.Minute)
	after := New(Options{})
	if n := after.Restore(now, kept, func(agent string) bool { return agent != "gone" }); n != 1 {
		t.Errorf("%d bindings are taken up", n)
	}
	bindings := after.Bindings("app", now)
	if got := show(bindings, now); got != "sip:app@10.0.0.5 q=0.5 8m0s" || bindings[0].Flow != flow {
		t.Errorf("%s over %+v", got, bindings)
	}
	if left := after.Changed(now); len(left) != 2 || len(left["brief"]) != 0 || len(left["gone"]) != 0 {
		t.Errorf("what is not taken up is to be forgotten: %+v", left)
	}
	// A request of before that is sent again changes nothing, nor does an older one.
	for _, cseq := range []int{7, 6} {
		if a := after.Register(now, "app", message(t, "a", cseq, "Contact: <sip:app@10.0.0.5>;expires=0;+sip.instance=\"<urn:uuid:1>\";reg-id=1\n"), flow); a.Status != 500 {
			t.Errorf("CSeq %d: %d", cseq, a.Status)
		}
	}
	// The device that comes back, from another address, is the same binding.
	a := after.Register(now, "app", message(t, "a", 8, "Contact: <sip:app@10.9.9.9>;+sip.instance=\"<urn:uuid:1>\";reg-id=1\nExpires: 300\n"), flow)
	if got := show(a.Bindings, now); got != "sip:app@10.9.9.9 q=1 5m0s" {
		t.Error(got)
	}
}

// What was kept is held to what holds now, and what is damaged is left out.
func TestRestoreIsBounded(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	binding := func(uri string, lasts time.Duration) Kept {
		return Kept{Binding{URI: uri, Flow: flow, Q: 1, Expires: now.Add(lasts)}, uri}
	}
	unknown := binding("sip:app@10.0.0.9", time.Minute)
	unknown.Flow.Remote = netip.AddrPort{}
	r := New(Options{MaxExpires: 10 * time.Minute, Contacts: 2})
	n := r.Restore(now, map[string][]Kept{"app": {binding("nonsense", time.Minute), binding("tel:+1555", time.Minute), unknown, binding("sip:late@10.0.0.1", 0),
		binding("sip:long@10.0.0.2", time.Hour), binding("sip:two@10.0.0.3", time.Minute), binding("sip:three@10.0.0.4", time.Minute)}}, anyone)
	if got := show(r.Bindings("app", now), now); n != 2 || got != "sip:long@10.0.0.2 q=1 10m0s, sip:two@10.0.0.3 q=1 1m0s" {
		t.Errorf("%d: %s", n, got)
	}
}

// What changes what is kept, and what does not.
func TestChanged(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	r := New(Options{})
	register := func(cseq int, lines string) { r.Register(now, "app", message(t, "a", cseq, lines), flow) }
	for _, step := range []struct {
		name  string
		do    func()
		kept  int
		tells bool
	}{
		{"a query", func() { register(1, "") }, 0, false},
		{"it comes", func() { register(2, "Contact: <sip:app@10.0.0.5>\nExpires: 60\n") }, 1, true},
		{"it is refreshed", func() { register(3, "Contact: <sip:app@10.0.0.5>\nExpires: 60\n") }, 1, true},
		{"a query of what there is", func() { register(4, "") }, 0, false},
		{"it could not be kept", func() { r.Unkept([]string{"app"}) }, 1, true},
		{"a refused one", func() { register(5, "Contact: <sip:app@10.0.0.5>\nExpires: 1\n") }, 0, false},
		{"it expires", func() { now = now.Add(time.Minute); r.Count("app", now) }, 0, true},
		{"another comes", func() { register(6, "Contact: <sip:app@10.0.0.5>\nExpires: 60\n") }, 1, true},
		{"all go", func() { register(7, "Contact: *\nExpires: 0\n") }, 0, true},
		{"another comes", func() { register(8, "Contact: <sip:app@10.0.0.5>\nExpires: 60\n") }, 1, true},
		{"the agent is gone", func() { r.Forget(func(string) bool { return false }) }, 0, true},
	} {
		step.do()
		kept, tells := r.Changed(now)["app"]
		if tells != step.tells || len(kept) != step.kept {
			t.Errorf("%s: %t with %+v", step.name, tells, kept)
		}
	}
}
