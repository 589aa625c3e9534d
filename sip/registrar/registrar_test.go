package registrar

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"trunkline/sip/transport"
	"trunkline/sip/wire"
)

func message(t testing.TB, callID string, cseq int, lines string) *wire.Message {
	t.Helper()
	text := fmt.Sprintf("REGISTER sip:edge SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx\nFrom: <sip:app@edge>;tag=a\nTo: <sip:app@edge>\nCall-ID: %s\nCSeq: %d REGISTER\n%s\n", callID, cseq, lines)
	m := new(wire.Message)
	if err := m.Parse([]byte(strings.ReplaceAll(text, "\n", "\r\n"))); err != nil {
		t.Fatal(err)
	}
	return m
}

var flow = transport.Flow{Proto: transport.UDP, Remote: netip.MustParseAddrPort("198.51.100.7:40000")}

// show writes bindings as "URI q seconds".
func show(bindings []Binding, now time.Time) string {
	var words []string
	for _, b := range bindings {
		words = append(words, fmt.Sprintf("%s q=%g %s", b.URI, b.Q, b.Expires.Sub(now)))
	}
	return strings.Join(words, ", ")
}

// AUTH-08, RFC 3261 §10.3: what is wished for, what is granted, what is there afterwards.
func TestRegister(t *testing.T) {
	type step struct {
		name     string
		callID   string
		cseq     int
		lines    string
		status   int
		bindings string
	}
	tests := []struct {
		name  string
		steps []step
	}{
		{"a binding comes, is refreshed and goes", []step{
			{"first", "a", 1, "Contact: <sip:app@10.0.0.5:5061>\nExpires: 600\n", 200, "sip:app@10.0.0.5:5061 q=1 10m0s"},
			{"again, the parameter beats the header", "a", 2, "Contact: <sip:app@10.0.0.5:5061>;expires=120\nExpires: 600\n", 200, "sip:app@10.0.0.5:5061 q=1 2m0s"},
			{"a query", "a", 3, "", 200, "sip:app@10.0.0.5:5061 q=1 2m0s"},
			{"gone", "a", 4, "Contact: <sip:app@10.0.0.5:5061>;expires=0\n", 200, ""},
			{"an expiry without a value is as if there were none, and takes nothing away", "a", 5, "Contact: <sip:app@10.0.0.5:5061>;expires=\n", 200, "sip:app@10.0.0.5:5061 q=1 1h0m0s"},
			{"gone", "a", 6, "Contact: <sip:app@10.0.0.5:5061>;expires=0\n", 200, ""},
			{"gone already", "a", 7, "Contact: <sip:app@10.0.0.5:5061>;expires=0\n", 200, ""},
		}},
		{"several contacts, the preferred one first", []step{
			{"two in one", "a", 1, "Contact: <sip:one@10.0.0.5>;q=0.5, <sip:two@10.0.0.6>;q=0.7\nExpires: 600\n", 200, "sip:two@10.0.0.6 q=0.7 10m0s, sip:one@10.0.0.5 q=0.5 10m0s"},
			{"another device", "b", 1, "Contact: <sip:three@10.0.0.7>\nExpires: 300\n", 200,
				"sip:three@10.0.0.7 q=1 5m0s, sip:two@10.0.0.6 q=0.7 10m0s, sip:one@10.0.0.5 q=0.5 10m0s"},
			{"everything", "b", 2, "Contact: *\nExpires: 0\n", 200, ""},
		}},
		{"hosts compare without case, users with it", []step{
			{"first", "a", 1, "Contact: <sip:App@Host.Example:5060;transport=UDP>\nExpires: 600\n", 200, "sip:App@Host.Example:5060;transport=UDP q=1 10m0s"},
			{"the same", "a", 2, "Contact: <SIP:App@host.example:5060;transport=udp>\nExpires: 600\n", 200, "SIP:App@host.example:5060;transport=udp q=1 10m0s"},
			{"another user", "a", 3, "Contact: <sip:app@host.example:5060;transport=udp>\nExpires: 300\n", 200,
				"SIP:App@host.example:5060;transport=udp q=1 10m0s, sip:app@host.example:5060;transport=udp q=1 5m0s"},
		}},
		{"a device that comes back from another address", []step{
			{"first", "a", 1, "Contact: <sip:app@10.0.0.5>;+sip.instance=\"<urn:uuid:1>\";reg-id=1\nExpires: 600\n", 200, "sip:app@10.0.0.5 q=1 10m0s"},
			{"moved", "b", 1, "Contact: <sip:app@10.9.9.9>;+sip.instance=\"<urn:uuid:1>\";reg-id=1\nExpires: 600\n", 200, "sip:app@10.9.9.9 q=1 10m0s"},
		}},
		{"too brief, too long, unsaid", []step{
			{"423", "a", 1, "Contact: <sip:app@10.0.0.5>\nExpires: 59\n", 423, ""},
			{"clamped", "a", 2, "Contact: <sip:app@10.0.0.5>\nExpires: 4000000000\n", 200, "sip:app@10.0.0.5 q=1 1h0m0s"},
			{"unsaid", "a", 3, "Contact: <sip:app@10.0.0.5>\n", 200, "sip:app@10.0.0.5 q=1 1h0m0s"},
		}},
		{"an older request of the same client changes nothing", []step{
			{"first", "a", 7, "Contact: <sip:app@10.0.0.5>\nExpires: 600\n", 200, "sip:app@10.0.0.5 q=1 10m0s"},
			{"older", "a", 6, "Contact: <sip:new@10.0.0.6>, <sip:app@10.0.0.5>;expires=0\n", 500, ""},
			{"older, all", "a", 6, "Contact: *\nExpires: 0\n", 500, ""},
			{"another client", "b", 1, "Contact: <sip:app@10.0.0.5>;expires=0\n", 200, ""},
		}},
		{"nonsense is refused whole", []step{
			{"a star that wants to stay", "a", 2, "Contact: *\nExpires: 60\n", 400, ""},
			{"a star without a word", "a", 3, "Contact: *\n", 400, ""},
			{"an expiry in letters", "a", 4, "Contact: <sip:app@10.0.0.5>\nExpires: soon\n", 400, ""},
			{"a contact that is no SIP", "a", 5, "Contact: <mailto:app@example.com>\nExpires: 600\n", 400, ""},
			{"a q above one", "a", 6, "Contact: <sip:app@10.0.0.5>;q=1.5\nExpires: 600\n", 400, ""},
			{"nothing came of it", "a", 7, "", 200, ""},
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, now := New(Options{}), time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
			for _, s := range test.steps {
				a := r.Register(now, "app", message(t, s.callID, s.cseq, s.lines), flow)
				if got := show(a.Bindings, now); a.Status != s.status || got != s.bindings {
					t.Errorf("%s: %d %q, want %d %q", s.name, a.Status, got, s.status, s.bindings)
				}
				if (a.Status == 423) != (a.MinExpires == time.Minute) {
					t.Errorf("%s: Min-Expires %s", s.name, a.MinExpires)
				}
			}
		})
	}
}

func TestBindingsEndByThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(Options{})
		r.Register(time.Now(), "app", message(t, "a", 1, "Contact: <sip:one@10.0.0.5>;expires=60, <sip:two@10.0.0.6>;expires=90\n"), flow)
		for _, step := range []struct {
			after time.Duration
			left  int
		}{{59 * time.Second, 2}, {time.Second, 1}, {29 * time.Second, 1}, {time.Second, 0}} {
			time.Sleep(step.after)
			if n := r.Count("app", time.Now()); n != step.left {
				t.Errorf("%d bindings are left after %s more, want %d", n, step.after, step.left)
			}
		}
	})
}

func TestContactsAreBounded(t *testing.T) {
	r, now := New(Options{Contacts: 3}), time.Now()
	register := func(i int) int {
		return r.Register(now, "app", message(t, "a", i+1, fmt.Sprintf("Contact: <sip:app@10.0.0.%d>\nExpires: 600\n", i)), flow).Status
	}
	for i := range 3 {
		if status := register(i); status != 200 {
			t.Fatalf("contact %d: %d", i, status)
		}
	}
	if status := register(3); status != 403 {
		t.Errorf("one more: %d", status)
	}
	if status := r.Register(now, "other", message(t, "b", 1, "Contact: <sip:a@h>, <sip:b@h>, <sip:c@h>, <sip:d@h>\nExpires: 600\n"), flow).Status; status != 403 {
		t.Errorf("four at once: %d", status)
	}
	if n := r.Count("app", now); n != 3 {
		t.Errorf("%d bindings", n)
	}
}

func TestBindingsGoWithTheirConnectionAndTheirAgent(t *testing.T) {
	r, now := New(Options{}), time.Now()
	stream := transport.Flow{Proto: transport.TCP, Remote: netip.MustParseAddrPort("198.51.100.8:50000"), Conn: 7}
	r.Register(now, "app", message(t, "a", 1, "Contact: <sip:udp@10.0.0.5>\nExpires: 600\n"), flow)
	r.Register(now, "app", message(t, "b", 1, "Contact: <sip:tcp@10.0.0.5;transport=tcp>\nExpires: 600\n"), stream)
	again := stream
	again.Conn = 8
	r.Register(now, "other", message(t, "c", 1, "Contact: <sip:other@10.0.0.5;transport=tcp>\nExpires: 600\n"), again)
	r.Lost(stream)
	if n := r.Count("other", now); n != 1 {
		t.Error("a connection from the same address that came after it lost its binding")
	}
	if left := r.Bindings("app", now); len(left) != 1 || left[0].URI != "sip:udp@10.0.0.5" {
		t.Errorf("left: %s", show(left, now))
	}
	r.Forget(func(agent string) bool { return agent != "app" })
	if n := r.Count("app", now); n != 0 {
		t.Errorf("%d bindings of an agent that is gone", n)
	}
}

// What registers over a connection has to come again before the connection is closed for its silence, or nobody could call it any more.
func TestConnectionsAreRefreshedInTime(t *testing.T) {
	stream := transport.Flow{Proto: transport.TLS, Remote: netip.MustParseAddrPort("198.51.100.8:50000"), Conn: 7}
	now := time.Now()
	for _, test := range []struct {
		name   string
		o      Options
		flow   transport.Flow
		wished string
		want   time.Duration
	}{
		{"at the latest when it would be closed", Options{StreamExpires: 10 * time.Minute}, stream, "3600", 10 * time.Minute},
		{"sooner if it likes", Options{StreamExpires: 10 * time.Minute}, stream, "300", 5 * time.Minute},
		{"over UDP there is nothing to close", Options{StreamExpires: 10 * time.Minute}, flow, "3600", time.Hour},
		{"connections that are never closed", Options{}, stream, "3600", time.Hour},
		{"no longer than anybody", Options{StreamExpires: 2 * time.Hour}, stream, "9000", time.Hour},
		{"no shorter than what is refused", Options{StreamExpires: 10 * time.Second}, stream, "3600", time.Minute},
	} {
		a := New(test.o).Register(now, "app", message(t, "a", 1, "Contact: <sip:app@10.0.0.5>\nExpires: "+test.wished+"\n"), test.flow)
		if len(a.Bindings) != 1 || a.Bindings[0].Expires.Sub(now) != test.want {
			t.Errorf("%s: %s", test.name, show(a.Bindings, now))
		}
	}
}

func TestContactsOfTheAnswer(t *testing.T) {
	r, now := New(Options{}), time.Now()
	a := r.Register(now, "app", message(t, "a", 1, "Contact: <sip:one@10.0.0.5>;q=0.5;+sip.instance=\"<urn:uuid:1>\", \"Two\" <sip:two@10.0.0.6>\nExpires: 600\n"), flow)
	got := string(AppendContacts(nil, a.Bindings, now.Add(100*time.Second)))
	want := "Contact: <sip:two@10.0.0.6>;expires=500\r\nContact: <sip:one@10.0.0.5>;expires=500;q=0.5;+sip.instance=\"<urn:uuid:1>\"\r\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func FuzzRegister(f *testing.F) {
	f.Add("Contact: <sip:one@10.0.0.5>;q=0.5;expires=70, *\r\nExpires: 0\r\n")
	f.Add("Contact: *\r\nExpires: 0\r\n")
	f.Fuzz(func(t *testing.T, lines string) {
		m := new(wire.Message)
		if m.Parse([]byte("REGISTER sip:edge SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx\r\nFrom: <sip:app@edge>;tag=a\r\nTo: <sip:app@edge>\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\n"+lines+"\r\n")) != nil {
			return
		}
		r, now := New(Options{}), time.Now()
		a := r.Register(now, "app", m, flow)
		if n := r.Count("app", now); n != len(a.Bindings) || n > 10 || a.Status != 200 && n > 0 {
			t.Errorf("%d with %d bindings, %d kept", a.Status, len(a.Bindings), n)
		}
		for _, b := range a.Bindings {
			if left := b.Expires.Sub(now); left < time.Minute || left > time.Hour || b.Q < 0 || b.Q > 1 || strings.ContainsAny(b.URI, "<>\r\n") {
				t.Errorf("kept %+v", b)
			}
		}
	})
}

// Who says that it is where its REGISTER came from is behind no NAT, and a connection holds one open by itself.
func TestTranslated(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	r := New(Options{})
	home := transport.Flow{Proto: transport.UDP, Remote: netip.MustParseAddrPort("198.51.100.7:5060")}
	tcp := transport.Flow{Proto: transport.TCP, Conn: 7, Remote: flow.Remote}
	for i, test := range []struct {
		contact    string
		flow       transport.Flow
		translated bool
	}{
		{"sip:a@10.0.0.5", flow, true}, {"sip:a@198.51.100.7", flow, true}, {"sip:a@198.51.100.7:40001", flow, true}, {"sip:a@phone.example:40000", flow, true},
		{"sip:a@198.51.100.7:40000", flow, false}, {"sip:a@198.51.100.7", home, false}, {"sip:a@198.51.100.7:5060", home, false},
		{"sip:a@[2001:db8::5]", flow, true}, {"sip:a@10.0.0.5", tcp, false},
	} {
		agent := fmt.Sprint("agent", i)
		r.Register(now, agent, message(t, agent, 1, "Contact: <"+test.contact+">\nExpires: 60\n"), test.flow)
		if got := translated(r, now); len(got) == 1 != test.translated || test.translated && got[0].URI != test.contact {
			t.Errorf("%s over %v: %+v", test.contact, test.flow, got)
		}
		r.Forget(func(string) bool { return false })
	}
	r.Register(now, "app", message(t, "c", 1, "Contact: <sip:a@10.0.0.5>\nExpires: 60\n"), flow)
	if got := translated(r, now.Add(time.Minute)); len(got) != 0 {
		t.Errorf("it has expired: %+v", got)
	}
}

// translated is Translated of every group, in which each binding is once.
func translated(r *Registrar, now time.Time) (all []Binding) {
	for turn := range Turns {
		all = append(all, r.Translated(now, turn)...)
	}
	return all
}

// Each group has its part of many bindings, and one that comes again, or was kept, is in the group that it was in.
func TestTranslatedInTurns(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	r := New(Options{})
	register := func(i, seq int) {
		agent := fmt.Sprint("agent", i)
		r.Register(now, agent, message(t, agent, seq, fmt.Sprintf("Contact: <sip:%d@10.0.0.5>\nExpires: 60\n", i)), flow)
	}
	turns := map[string]int{}
	for i := range 3000 {
		register(i, 1)
	}
	for turn := range Turns {
		group := r.Translated(now, turn)
		if len(group) < 50 || len(group) > 150 {
			t.Errorf("group %d has %d", turn, len(group))
		}
		for _, b := range group {
			turns[b.URI] = turn
		}
	}
	kept := New(Options{})
	all := map[string][]Kept{}
	for i := range 100 {
		register(i, 2)
		agent := fmt.Sprint("agent", i)
		b := r.Bindings(agent, now)[0]
		all[agent] = []Kept{{b, b.key}}
	}
	kept.Restore(now, all, func(string) bool { return true })
	for _, r := range []*Registrar{r, kept} {
		for turn := range Turns {
			for _, b := range r.Translated(now, turn) {
				if turns[b.URI] != turn {
					t.Errorf("%s was in group %d and is in %d", b.URI, turns[b.URI], turn)
				}
			}
		}
	}
}

// The device that registered last is called first, however long the others were granted.
func TestLatestFirst(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	r := New(Options{})
	r.Register(now, "app", message(t, "a", 1, "Contact: <sip:off@10.0.0.5>\nExpires: 3600\n"), flow)
	r.Register(now.Add(time.Minute), "app", message(t, "b", 1, "Contact: <sip:on@10.0.0.6>\nExpires: 60\n"), flow)
	if got := r.Bindings("app", now.Add(time.Minute)); len(got) != 2 || got[0].URI != "sip:on@10.0.0.6" {
		t.Errorf("%+v", got)
	}
	r.Register(now.Add(2*time.Minute), "app", message(t, "a", 2, "Contact: <sip:off@10.0.0.5>\nExpires: 3600\n"), flow)
	r.Register(now.Add(2*time.Minute-time.Second), "app", message(t, "b", 2, "Contact: <sip:on@10.0.0.6>\nExpires: 60\n"), flow)
	if got := r.Bindings("app", now.Add(2*time.Minute)); got[0].URI != "sip:off@10.0.0.5" {
		t.Errorf("%+v", got)
	}
}
