package carrier

import (
	"log/slog"
	"net/netip"
	"time"
)

// Options of a Carrier: how it is when nothing is wrong. Listen is required.
type Options struct {
	Listen  netip.AddrPort // where it takes SIP over UDP and TCP, and whose address media uses; port 0 takes a free one
	Dialect Dialect        // how refusals are worded; 0: Plain

	// Who may register and call.
	Realm         string        // of digest challenges; empty: "carrier.example"
	User          string        // who may register and call; empty: anybody, unchallenged
	Password      string        // of User
	Algorithm     string        // "MD5", "SHA-256", "SHA-512-256" or several, the first preferred: "SHA-256,MD5"; empty: MD5
	NonceLife     time.Duration // an older nonce is stale; 0: 5 min
	ChallengesAll bool          // wrong credentials are challenged again, as by Kamailio and Asterisk, and not refused with 403
	Domain        string        // host that Request-URIs must name, others get 404; empty: any
	FromUser      bool          // the user part of From must be User, else 403; the caller's number stands in an identity header
	Callers       []string      // numbers that may be shown as caller ID, as they must be written; empty: any
	Transport     string        // the only one on which it answers: "udp", "tcp" or "tls"; empty: all

	// The edge's numbers, and how it is reached.
	Contact    string      // SIP URI of an edge that does not register; empty: the registered contact only
	DIDs       []string    // numbers of the edge: a call to one of them comes back to it as a new call
	Inbound    NumberShape // how the edge's numbers are written when they are called; 0: as dialled
	MinExpires int         // seconds; a REGISTER for less gets 423; 0: no limit
	MaxExpires int         // seconds granted at most; 0: 3600

	// What calls meet.
	Numbers       map[string]Behavior // what other called numbers do; not listed: Answer
	Ring          time.Duration       // from 180 to 200; 0: 200 ms
	Media         Media               // what answered and placed calls send
	CPS           int                 // INVITEs taken over any rolling second, more are refused; 0: no limit
	CPSCode       int                 // of that refusal; 0: what the dialect says, 503 in all of them
	CPSRetryAfter time.Duration       // Retry-After of that refusal, in whole seconds; 0: 1 s in Plain, none in others; negative: none
	CPSChallenged bool                // INVITEs that are challenged count too
	MaxCalls      int                 // calls from the edge that may be up at once; 0: no limit
	TLS           bool                // it takes TLS too, with a certificate of its own authority: see TLSAddr and Authority
	TLSNames      []string            // host names of that certificate, beside the address listened on
	Log           *slog.Logger        // nil: nothing is logged
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

// NumberShape is how a number of the edge is written when the carrier calls it.
type NumberShape uint8

// Shapes of called numbers.
const (
	AsDialled NumberShape = iota // +15550001234
	NoPlus                       // 15550001234
	National                     // 5550001234, of a number of the North American plan
	InTo                         // Request-URI is the registered contact to the letter, the number stands in To only
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
