package lab

import (
	"strings"
	"testing"
)

func example(t *testing.T) *Book {
	b := &Book{}
	for _, c := range []Cell{
		{"phone", Agent, "tls", "srtp", HungUpByPeer, Outbound},
		{"phone", Agent, "udp", "rtp", HungUpByPeer, Outbound},
		{"phone", Agent, "udp", "", Ping, ""},
		{"phone", Agent, "tcp", "", Ping, ""},
		{"other", Carrier, "udp", "", "a thing of its own", Inbound},
	} {
		b.Passed(t, c)
	}
	b.Lacks(Cell{"phone", Agent, "tcp", "", HeldByPeer, Inbound}, "it has no key for it")
	b.Lacks(Cell{"phone", Agent, "udp", "", HeldByPeer, Inbound}, "it has no key for it")
	b.Lacks(Cell{"phone", Agent, "tls", "srtp", HeldByPeer, Inbound}, "its line is too short")
	return b
}

// TestPage pins how the page looks: peers by name, rows in the order of the constants, UDP before TCP before TLS.
func TestPage(t *testing.T) {
	page := example(t).Page(Run{Date: "2026-11-23", System: "a system", Versions: map[string]string{"phone": "1.0", "other": "2.0"}})
	want := introduction + `
Last written on 2026-11-23, on a system, with:

| peer | version |
| --- | --- |
| other | 2.0 |
| phone | 1.0 |

## other

| what | as | call | udp |
| --- | --- | --- | :-: |
| a thing of its own | carrier | inbound | ✓ |

## phone

| what | as | call | udp | tcp | tls srtp |
| --- | --- | --- | :-: | :-: | :-: |
| OPTIONS is answered | agent |  | ✓ | ✓ |  |
| call, hung up by the peer | agent | outbound | ✓ |  | ✓ |
| hold and resume by the peer | agent | inbound | – (1) | – (1) | – (2) |

(1) it has no key for it.

(2) its line is too short.
`
	if page != want {
		t.Errorf("the page is\n%s\nwant\n%s", page, want)
	}
}

// failed is a test that did not end well.
type failed struct{ testing.TB }

func (failed) Failed() bool  { return true }
func (failed) Skipped() bool { return false }
func (failed) Helper()       {}

// TestDifferences: a page is wrong when it promises what was not seen, or does not know what was; dates and absent peers are nobody's fault.
func TestDifferences(t *testing.T) {
	b := example(t)
	page := b.Page(Run{Date: "yesterday"})
	for _, test := range []struct {
		name, page string
		absent     string
		want       []string // parts, one of each difference
	}{
		{"the page has a row that did not pass", page + "| hold | agent | inbound | ✓ |  |  |\n", "", []string{`phone: the page has "| hold |`}},
		{"the page lacks a row", strings.Replace(page, "| OPTIONS is answered | agent |  | ✓ | ✓ |  |\n", "", 1), "", []string{`phone: this run showed "| OPTIONS`}},
		{"the page has a mark that did not pass", strings.Replace(page, "| ✓ |  | ✓ |", "| ✓ | ✓ | ✓ |", 1), "", []string{"the page has", "this run showed"}},
		{"the page knows a peer that was not seen", page + "\n## third\n\n| what |\n", "", []string{"third: the page has"}},
		{"a peer that is absent", page + "\n## third\n\n| what |\n", "third", nil},
		{"another date and version", strings.Replace(page, "yesterday", "today", 1), "", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := b.Differences(test.page, func(peer string) bool { return peer == test.absent })
			if len(got) != len(test.want) {
				t.Fatalf("%q", got)
			}
			for i, part := range test.want {
				if !strings.Contains(got[i], part) {
					t.Errorf("%q, want %q", got[i], part)
				}
			}
		})
	}
	b.Passed(failed{t}, Cell{"other", Carrier, "tcp", "", Ping, ""})
	if got := b.Differences(page, func(string) bool { return false }); len(got) != 0 {
		t.Errorf("a test that failed counts: %q", got)
	}
}
