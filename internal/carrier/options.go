package carrier

import (
	"log/slog"
	"net/netip"
	"time"
)

// Options of a Carrier. Listen is required.
type Options struct {
	Listen     netip.AddrPort      // where it takes SIP over UDP and TCP, and whose address media uses; port 0 takes a free one
	Realm      string              // of digest challenges; empty: "carrier.example"
	User       string              // who may register and call; empty: anybody, unchallenged
	Password   string              // of User
	Algorithm  string              // "MD5", "SHA-256", "SHA-512-256" or several, the first preferred: "SHA-256,MD5"; empty: MD5
	Contact    string              // SIP URI of an edge that does not register; empty: the registered contact only
	DIDs       []string            // numbers of the edge: a call to one of them comes back to it as a new call
	Numbers    map[string]Behavior // what other called numbers do; not listed: Answer
	Ring       time.Duration       // from 180 to 200; 0: 200 ms
	Media      Media               // what answered and placed calls send
	CPS        int                 // INVITEs taken over any rolling second, more get 503; 0: no limit
	MinExpires int                 // seconds; a REGISTER for less gets 423; 0: no limit
	MaxExpires int                 // seconds granted at most; 0: 3600
	NonceLife  time.Duration       // an older nonce is stale; 0: 5 min
	Log        *slog.Logger        // nil: nothing is logged
}

// Behavior is what a called number does.
type Behavior uint8

// What numbers do.
const (
	Answer     Behavior = iota // ring, then answer
	Busy                       // 486
	Unanswered                 // ring until the caller gives up
	Forbidden                  // 403
	NotFound                   // 404
	EarlyMedia                 // 183 with media in place of 180, then answer
	Declined                   // ring, then 603
	Hangup                     // answer, and hang up a second later
)

// Media is what an answered call sends.
type Media uint8

// What a call sends.
const (
	Tone Media = iota // PCMU or PCMA, one packet each 20 ms: 400 Hz from a Carrier, 620 Hz from an App
	Echo              // each packet that comes, sent back
)

// AppOptions of an App. Listen is required, and Edge to call.
type AppOptions struct {
	Listen    netip.AddrPort // where it takes SIP over UDP and TCP, and whose address media uses; port 0 takes a free one
	Edge      netip.AddrPort // where its calls go
	Transport string         // of its calls, "udp" or "tcp"; empty: udp
	Ring      time.Duration  // from 180 to 200; 0: 50 ms
	Media     Media          // what its calls send
	Log       *slog.Logger   // nil: nothing is logged
}

// Faults are what a Carrier may do wrong on request.
type Faults struct {
	SilentOptions  bool // OPTIONS gets no answer, as at many carriers
	SilentRegister bool
	SilentInvite   bool
	RegisterCode   int // final response to every REGISTER; 0: as it should be
	InviteCode     int // final response to every INVITE; 0: as it should be
}
