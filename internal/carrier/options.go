package carrier

import (
	"log/slog"
	"net/netip"
	"time"
)

// Options of a Carrier. Listen is required.
type Options struct {
	Listen    netip.AddrPort      // where it takes SIP over UDP and TCP, and whose address media uses; port 0 takes a free one
	Realm     string              // of digest challenges; empty: "carrier.example"
	User      string              // who may register and call; empty: anybody, unchallenged
	Password  string              // of User
	Algorithm string              // "MD5" or "SHA-256"; empty: MD5
	Contact   string              // SIP URI of an edge that does not register; empty: the registered contact only
	DIDs      []string            // numbers of the edge: a call to one of them comes back to it as a new call
	Numbers   map[string]Behavior // what other called numbers do; not listed: Answer
	Ring      time.Duration       // from 180 to 200; 0: 200 ms
	Media     Media               // what answered and placed calls send
	Log       *slog.Logger        // nil: nothing is logged
}

// Behavior is what a called number does.
type Behavior uint8

// What numbers do.
const (
	Answer     Behavior = iota // ring, then answer
	Busy                       // 486
	Unanswered                 // ring until the caller gives up
	Forbidden                  // 403
)

// Media is what an answered call sends.
type Media uint8

// What a call sends.
const (
	Tone Media = iota // a 400 Hz tone in PCMU, one packet each 20 ms
	Echo              // each packet that comes, sent back
)

// AppOptions of an App. Listen and Edge are required.
type AppOptions struct {
	Listen netip.AddrPort // where it takes SIP over UDP and TCP, and whose address media uses; port 0 takes a free one
	Edge   netip.AddrPort // where its calls go
	Ring   time.Duration  // from 180 to 200; 0: 50 ms
	Media  Media          // what its calls send
	Log    *slog.Logger   // nil: nothing is logged
}
