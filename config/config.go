package config

import (
	"log/slog"
	"net/netip"
	"time"
)

// Config is one complete, validated configuration. A value returned by Load is never changed afterwards, so it
// may be read from any goroutine.
type Config struct {
	SIP     SIP     `yaml:"sip"`
	Media   Media   `yaml:"media"`
	HTTP    HTTP    `yaml:"http"`
	Storage Storage `yaml:"storage"`
	Log     Log     `yaml:"log"`
	Trace   Trace   `yaml:"trace"`
	Limits  Limits  `yaml:"limits"`
	Drain   Drain   `yaml:"drain"`
	Probe   Probe   `yaml:"probe"`

	Providers Providers `yaml:"providers"`
	Trunks    []Trunk   `yaml:"trunks"`

	Organizations []Organization `yaml:"organizations"`

	Agents  []Agent  `yaml:"agents"`
	Numbers []Number `yaml:"numbers"`

	origins map[string]Origin
}

// SIP is what the engine listens on and its protocol timers.
type SIP struct {
	Listen        []Listener `yaml:"listen"`
	PublicAddress netip.Addr `yaml:"public_address"` // invalid: the address listened on
	UserAgent     string     `yaml:"user_agent"`     // Server and User-Agent; empty: neither is sent
	TLS           TLS        `yaml:"tls"`

	Shards         int        `yaml:"shards"`           // 0: one per core left over by media
	UDPReceive     UDPReceive `yaml:"udp_receive"`      // raw, portable or auto
	ReceiveBuffer  Bytes      `yaml:"receive_buffer"`   // SO_RCVBUF of every UDP socket
	MaxMessageSize Bytes      `yaml:"max_message_size"` // of a stream message, headers and body; UDP ends at 65,535
	IdleTimeout    Duration   `yaml:"idle_timeout"`     // a silent TCP or TLS connection is closed after this; 0: never
	Timers         Timers     `yaml:"timers"`

	ForeignRoute ForeignRoute `yaml:"foreign_route"` // an INVITE with a Route that does not name the edge

	Resolvers []Resolver `yaml:"resolvers"` // DNS servers, in the order to ask them; empty: those of the system
	Registrar Registrar  `yaml:"registrar"`
}

// Registrar is where agents register that have an auth_user.
type Registrar struct {
	Realm      string   `yaml:"realm"`       // of the challenges; agents may need it to choose their password
	Digest     Digest   `yaml:"digest"`      // what the challenges ask for
	MinExpires Duration `yaml:"min_expires"` // a shorter registration gets 423
	MaxExpires Duration `yaml:"max_expires"` // a longer one is granted this
	KeepAlive  Duration `yaml:"keep_alive"`  // between OPTIONS to one that a NAT hides; 0: none
	Contacts   int      `yaml:"contacts"`    // of one agent
}

// Timers are RFC 3261 §17 timers. In a trunk zero means: as in the sip section.
type Timers struct {
	T1     Duration `yaml:"t1"`      // round-trip estimate; first retransmission interval
	T2     Duration `yaml:"t2"`      // longest interval between retransmissions of a non-INVITE request and of a 2xx
	T4     Duration `yaml:"t4"`      // how long a message may live in the network
	TimerB Duration `yaml:"timer_b"` // an INVITE without any response fails after this
	TimerF Duration `yaml:"timer_f"` // any other request without a final response fails after this
	TimerC Duration `yaml:"timer_c"` // an INVITE without a final response is cancelled this long after its last provisional
}

// TLS is the identity shown on TLS listeners. Both files empty: a self-signed certificate is made at start,
// which peers that check names refuse.
type TLS struct {
	Certificate string     `yaml:"certificate"` // PEM file: leaf first, then intermediates
	Key         string     `yaml:"key"`         // PEM file
	ClientCA    string     `yaml:"client_ca"`   // PEM file; certificates of clients are checked against it
	ClientAuth  ClientAuth `yaml:"client_auth"`
}

// Media is the RTP relay.
type Media struct {
	Relay   bool       `yaml:"relay"`   // false: SDP passes end to end, signalling only
	Ports   PortRange  `yaml:"ports"`   // UDP ports for RTP (even) and RTCP (odd)
	Address netip.Addr `yaml:"address"` // local address of the relay's sockets; invalid: that of the SIP listener in use
	Threads int        `yaml:"threads"` // relay threads; 0: by cores

	Timeout      Duration `yaml:"timeout"`       // an answered call without RTP from either party is ended after this, holds apart; 0: never
	EarlyTimeout Duration `yaml:"early_timeout"` // the same before the answer
}

// HTTP is the API, the console, /metrics, /healthz and /readyz.
type HTTP struct {
	Listen    string  `yaml:"listen"` // host:port; empty: no HTTP at all
	TLS       HTTPTLS `yaml:"tls"`
	RateLimit float64 `yaml:"rate_limit"` // requests per second of one API key; 0: no limit
	RateBurst int     `yaml:"rate_burst"` // of them at once after a pause; 0: one second's worth
}

// HTTPTLS makes HTTP HTTPS.
type HTTPTLS struct {
	Certificate string `yaml:"certificate"` // PEM file, leaf first; empty: plain HTTP
	Key         string `yaml:"key"`         // PEM file
}

// Storage is where the SQLite files and the key ring live.
type Storage struct {
	Directory      string   `yaml:"directory"`
	CommitInterval Duration `yaml:"commit_interval"` // call records are committed this often; what a crash may lose
	Retention      Duration `yaml:"retention"`       // call records older than this are deleted; 0: kept for ever
	Queue          int      `yaml:"queue"`           // call records waiting for the disk; more are dropped and counted
}

// Log is what goes to stderr.
type Log struct {
	Level  slog.Level `yaml:"level"`
	Format LogFormat  `yaml:"format"`
}

// Trace is the ring of recent SIP messages behind ladders.
type Trace struct {
	Memory Bytes `yaml:"memory"` // of all calls together; 0: no trace
}

// Limits protect the process: what is above them is refused or dropped, and counted.
type Limits struct {
	MaxCalls      int           `yaml:"max_calls"`      // calls in progress in this process; 0: no limit
	UnknownRate   float64       `yaml:"unknown_rate"`   // requests per second from unlisted addresses, all together, that are answered
	UnknownAnswer UnknownAnswer `yaml:"unknown_answer"` // refuse or drop
	SourceRate    float64       `yaml:"source_rate"`    // requests per second outside calls that one listed address may send; 0: no limit
	OverloadDelay Duration      `yaml:"overload_delay"` // how long new INVITEs may have waited to be received; 0: for ever
	RetryAfter    Duration      `yaml:"retry_after"`    // in a 503 for overload or drain, whole seconds

	EmergencyNumbers []string `yaml:"emergency_numbers"` // called numbers that no limit holds up
}

// Drain is what SIGTERM waits for.
type Drain struct {
	Deadline Duration `yaml:"deadline"` // calls still up after this are ended; 0: at once
}

// Providers are the APIs of the companies that sell trunks. An empty URL means the provider's own.
type Providers struct {
	TwilioURL         string     `yaml:"twilio_url"`
	TwilioTrunkingURL string     `yaml:"twilio_trunking_url"`
	TelnyxURL         string     `yaml:"telnyx_url"`
	SignalWireURL     string     `yaml:"signalwire_url"` // in place of the customer's space
	VonageURL         string     `yaml:"vonage_url"`
	VonageAuth        VonageAuth `yaml:"vonage_auth"` // basic or query
}

// Probe is how trunks and numbers are tested, over the API and by schedule.
type Probe struct {
	Target         string   `yaml:"target"`          // number or SIP URI that test calls go to where a test names none; empty: none
	Rate           float64  `yaml:"rate"`            // tests begun per second, all together; 0: no limit
	RingLimit      Duration `yaml:"ring_limit"`      // longest a test call is left without a final response
	Interval       Duration `yaml:"interval"`        // between two proofs of each trunk; 0: none
	NumberInterval Duration `yaml:"number_interval"` // between two dial-ins of each number; 0: none

	AllowPrivateTargets bool `yaml:"allow_private_targets"`
}

// Trunk is one carrier connection managed by the file.
type Trunk struct {
	Name             string       `yaml:"name"`
	Server           HostPort     `yaml:"server"`         // where requests go; port 0: RFC 3263 applies
	OutboundProxy    HostPort     `yaml:"outbound_proxy"` // next hop instead of server; zero: none
	Domain           string       `yaml:"domain"`         // host part of Request-URI, From and To; empty: host of server
	Transport        Transport    `yaml:"transport"`
	Listener         string       `yaml:"listener"` // entry of sip.listen requests leave from; empty: the first that fits
	Realm            string       `yaml:"realm"`    // only challenges of this realm are answered; empty: any
	AuthUser         string       `yaml:"auth_user"`
	AuthPassword     Secret       `yaml:"auth_password"`
	AuthPasswordFile string       `yaml:"auth_password_file"`
	Register         bool         `yaml:"register"`
	RegisterExpires  Duration     `yaml:"register_expires"` // asked for; the registrar's answer rules
	SourceAddresses  []Source     `yaml:"source_addresses"`
	CPSLimit         *float64     `yaml:"cps_limit"`   // calls per second, may be a fraction; nil: not paced
	CPSKey           string       `yaml:"cps_key"`     // trunks with the same key share one limit; empty: the trunk's own
	CPSBurst         int          `yaml:"cps_burst"`   // calls that may go out at once after a pause; 0: always evenly spaced
	CPSWait          Duration     `yaml:"cps_wait"`    // how long a call above the limit waits for its turn; 0: it is refused at once
	CPSOver          CPSOver      `yaml:"cps_over"`    // what a call above the limit does
	CPSCounts        CPSCounts    `yaml:"cps_counts"`  // what one admission pays for
	CPSBackoff       CPSBackoff   `yaml:"cps_backoff"` // which refusals of the carrier slow the key down
	MaxCalls         *int         `yaml:"max_calls"`   // calls in progress on this trunk; nil: no limit
	NumberFormat     NumberFormat `yaml:"number_format"`
	CountryCode      string       `yaml:"country_code"`    // digits; completes numbers that come in national form
	NationalPrefix   string       `yaml:"national_prefix"` // digits before a national number, as 0 in Germany and 1 in North America
	UserPhone        bool         `yaml:"user_phone"`      // user=phone on URIs with a number (RFC 3261 §19.1.1)
	TechPrefix       string       `yaml:"tech_prefix"`     // before the called number in Request-URI and To
	FromUser         FromUser     `yaml:"from_user"`       // what From shows
	FromDomain       string       `yaml:"from_domain"`     // host of From; empty: Domain
	Trusted          bool         `yaml:"trusted"`         // belongs to our trust domain (RFC 3325 §2.3)
	Diversion        Diversion    `yaml:"diversion"`       // in which form it hears who diverted a call
	Headers          Headers      `yaml:"headers"`
	Oversize         Oversize     `yaml:"oversize"`        // a request over 1,300 bytes on a udp trunk (RFC 3261 §18.1.1)
	KeepAlive        Duration     `yaml:"keep_alive"`      // on tcp and tls: a ping after that much silence of ours (RFC 5626 §4.4.1); 0: none
	FailoverAfter    Duration     `yaml:"failover_after"`  // silence of one server after which the next is tried; 0: Timer B
	FailoverOn       []Failover   `yaml:"failover_on"`     // what takes a call to the next server, or the number's next trunk
	Redirect         Redirect     `yaml:"redirect"`        // what a 3xx of this carrier does
	SessionExpires   Duration     `yaml:"session_expires"` // session interval asked for (RFC 4028); 0: none
	MinSE            Duration     `yaml:"min_se"`          // smallest session interval taken
	Transfer         Transfer     `yaml:"transfer"`        // what a REFER of this side does
	Media            PartyMedia   `yaml:"media"`
	Health           Health       `yaml:"health"`
	SourceRate       *float64     `yaml:"source_rate"` // as limits.source_rate, for its addresses; nil: as there
	Timers           Timers       `yaml:"timers"`
	TLS              TrunkTLS     `yaml:"tls"`
}

// PartyMedia is what a trunk or an agent may and wants to have in its media.
type PartyMedia struct {
	Codecs []string `yaml:"codecs"` // encoding names, the preferred one first; empty: any, in the order offered
	SRTP   SRTP     `yaml:"srtp"`   // how its RTP is protected
	Latch  Latch    `yaml:"latch"`  // which sources of RTP are believed besides the one its description names
	DTMF   DTMF     `yaml:"dtmf"`   // how it speaks of digits
}

// Health is how a trunk is found to be down.
type Health struct {
	Interval Duration `yaml:"interval"` // between two OPTIONS to one server; 0: no OPTIONS, and no trunk is ever down
	Misses   int      `yaml:"misses"`   // bad signs in a row after which a server is down
	Hits     int      `yaml:"hits"`     // good signs in a row after which it is up again
}

// Headers are what crosses between a trunk and the agents beyond the usual, or not at all. In is from the trunk.
type Headers struct {
	InAllow  []HeaderName `yaml:"in_allow"`
	InDeny   []HeaderName `yaml:"in_deny"`
	OutAllow []HeaderName `yaml:"out_allow"`
	OutDeny  []HeaderName `yaml:"out_deny"`
}

// HeaderName is the name of a SIP header, or the beginning of several and a '*'.
type HeaderName string

// TrunkTLS is how a tls trunk is dialled.
type TrunkTLS struct {
	ServerName  string `yaml:"server_name"` // name the certificate must carry; empty: domain
	CA          string `yaml:"ca"`          // PEM file; empty: the system's roots
	Certificate string `yaml:"certificate"` // PEM file shown to the carrier; empty: that of sip.tls
	Key         string `yaml:"key"`         // PEM file
}

// Agent is an application: where inbound calls go and who may call out.
type Agent struct {
	Name            string        `yaml:"name"`
	Destinations    []Destination `yaml:"destinations"`
	SourceAddresses []Source      `yaml:"source_addresses"`
	FailoverAfter   Duration      `yaml:"failover_after"`  // silence of one destination after which the next is tried; 0: Timer B
	Redirect        Redirect      `yaml:"redirect"`        // what a 3xx of this agent does
	SessionExpires  Duration      `yaml:"session_expires"` // session interval asked for (RFC 4028); 0: none
	MinSE           Duration      `yaml:"min_se"`          // smallest session interval taken
	Transfer        Transfer      `yaml:"transfer"`        // what a REFER of this side does
	Forwarding      bool          `yaml:"forwarding"`      // it may send on calls of others that were diverted from its own numbers
	MaxCalls        *int          `yaml:"max_calls"`       // calls in progress with this agent; nil: no limit
	SourceRate      *float64      `yaml:"source_rate"`     // as limits.source_rate, for its addresses; nil: as there

	Organization string `yaml:"organization"` // whose toll it shares; empty: nobody's
	Toll         Toll   `yaml:"toll"`

	AuthUser         string `yaml:"auth_user"` // digest user name by which it is known from any address, and by which it registers; empty: only by address
	AuthPassword     Secret `yaml:"auth_password"`
	AuthPasswordFile string `yaml:"auth_password_file"`

	Media PartyMedia `yaml:"media"`
}

// Toll guards against calls that cost more than they should: a stolen password, a looping application.
type Toll struct {
	Countries      []string  `yaml:"countries"`        // first digits that called numbers must have, as 1 or 44; empty: any
	Premium        bool      `yaml:"premium"`          // whether premium rate, satellite and shared cost numbers may be called
	CallsPerMinute int       `yaml:"calls_per_minute"` // outbound calls in any rolling minute; 0: no limit
	MinutesPerDay  int       `yaml:"minutes_per_day"`  // of answered outbound calls in a day of UTC; 0: no limit
	WhenSpent      WhenSpent `yaml:"when_spent"`       // what becomes of calls in progress when the minutes of the day are used up
}

// Organization bounds what the agents of one organization may spend together.
type Organization struct {
	Name string `yaml:"name"` // or id; AnyOrganization: every one that is not listed
	Toll Toll   `yaml:"toll"`
}

// AnyOrganization is the name of the entry for organizations without one of their own. Each is bounded by itself.
const AnyOrganization = "*"

// Destination is one SIP address of an agent.
type Destination struct {
	URI      URI `yaml:"uri"`
	Priority int `yaml:"priority"` // lower is tried first
	Weight   int `yaml:"weight"`   // share among destinations of the same priority; 0: only when no other is left
}

// Number is one telephone number and where its calls go.
type Number struct {
	Number        string  `yaml:"number"` // E.164 with plus
	Trunk         string  `yaml:"trunk"`
	InboundAgent  string  `yaml:"inbound_agent"`  // empty: inbound calls are refused
	OutboundAgent string  `yaml:"outbound_agent"` // empty: nobody may use it as caller
	Routes        []Route `yaml:"routes"`         // trunks its outgoing calls may take; empty: Trunk alone
}

// Route is one trunk that the outgoing calls of a number may take.
type Route struct {
	Trunk    string `yaml:"trunk"`
	Priority int    `yaml:"priority"` // lower is tried first
	Weight   int    `yaml:"weight"`   // share among routes of the same priority; 0: only when no other is left
}

// Failover is one thing that takes a call on: a final response by code ("503") or class ("5xx"), or "timeout": nothing
// came back, or nobody could be reached.
type Failover string

// FailoverTimeout is the one Failover that is no response.
const FailoverTimeout Failover = "timeout"

// Duration is a time.Duration that reads "500ms", "2m" or "90d" and prints in the same words.
type Duration time.Duration

// D returns d as time.Duration.
func (d Duration) D() time.Duration { return time.Duration(d) }

// Bytes is a size that reads "64KiB", "8MiB", "1GiB" or a plain number of bytes.
type Bytes int64

// Secret is a string that no formatter, logger or encoder prints. Reveal gives the clear text.
type Secret string

// Reveal returns the clear text, for the one place that computes with it.
func (s Secret) Reveal() string { return string(s) }

// Transport is udp, tcp or tls.
type Transport string

// Closed sets of words. The zero value of each is never a valid choice; Default fills every one in.
type (
	UDPReceive    string
	ClientAuth    string
	LogFormat     string
	UnknownAnswer string
	NumberFormat  string
	FromUser      string
	ForeignRoute  string
	Digest        string
	Diversion     string
	Oversize      string
	Redirect      string
	Transfer      string
	CPSOver       string
	CPSCounts     string
	CPSBackoff    string
	Latch         string
	VonageAuth    string
	SRTP          string
	WhenSpent     string
	DTMF          string
)

const (
	UDP          Transport = "udp"
	TCP          Transport = "tcp"
	TLSTransport Transport = "tls"

	ReceiveAuto     UDPReceive = "auto"     // raw where the kernel allows it
	ReceiveRaw      UDPReceive = "raw"      // blocking reads on locked threads (Linux)
	ReceivePortable UDPReceive = "portable" // net.UDPConn

	ClientAuthNone     ClientAuth = "none"     // no certificate is asked for
	ClientAuthOptional ClientAuth = "optional" // checked against client_ca when one is shown
	ClientAuthRequired ClientAuth = "required"

	LogText LogFormat = "text"
	LogJSON LogFormat = "json"

	UnknownRefuse UnknownAnswer = "refuse" // one uniform 403
	UnknownDrop   UnknownAnswer = "drop"   // silence

	FormatE164     NumberFormat = "e164"     // +15550001234
	FormatDigits   NumberFormat = "digits"   // 15550001234
	FormatNational NumberFormat = "national" // 5550001234 with the national prefix within country_code, else e164

	DigestBoth   Digest = "both"   // SHA-256, and MD5 after it: the phone takes the first one that it knows (RFC 8760)
	DigestMD5    Digest = "md5"    // MD5 alone
	DigestSHA256 Digest = "sha256" // SHA-256 alone

	RouteIgnore ForeignRoute = "ignore" // the call goes where its number says
	RouteRefuse ForeignRoute = "refuse" // it is refused
	RouteFollow ForeignRoute = "follow" // it is followed to addresses of the number's trunks, and refused otherwise

	FromCaller   FromUser = "caller"    // the caller's number
	FromAuthUser FromUser = "auth_user" // the trunk's user name

	DiversionKeep    Diversion = "keep"         // as it comes
	DiversionPlain   Diversion = "diversion"    // History-Info becomes Diversion (RFC 7544)
	DiversionHistory Diversion = "history_info" // Diversion becomes History-Info
	DiversionDrop    Diversion = "drop"         // neither crosses

	OversizeFragment Oversize = "fragment" // sent over UDP all the same
	OversizeTCP      Oversize = "tcp"      // sent over TCP, and over UDP when TCP is refused

	VonageBasic VonageAuth = "basic" // key and secret by HTTP Basic
	VonageQuery VonageAuth = "query" // in the query, for accounts that want it so

	OverWait   CPSOver = "wait"   // it waits for its turn, up to cps_wait, and is refused then
	OverReject CPSOver = "reject" // it is refused at once
	OverSpill  CPSOver = "spill"  // it goes to the number's next route, and waits where none is left

	CountAttempts CPSCounts = "attempts" // an attempt to reach the callee, whose challenge is answered for nothing
	CountInvites  CPSCounts = "invites"  // each INVITE on the wire but its repetitions

	BackoffMarked CPSBackoff = "marked" // 429, and 503 with Retry-After or in the carrier's words for too many calls a second
	BackoffAny    CPSBackoff = "any"    // every 503 as well
	BackoffNever  CPSBackoff = "never"

	TransferRefuse Transfer = "refuse" // REFER gets 405
	TransferHandle Transfer = "handle" // the edge calls the target for it
	TransferPass   Transfer = "pass"   // REFER goes to the other party, whose calls it is then

	RedirectFollow Redirect = "follow" // to its own other addresses; elsewhere the caller hears 480
	RedirectRefuse Redirect = "refuse" // the caller hears 480
	RedirectRelay  Redirect = "relay"  // the caller hears it, with the numbers it names

	SpentRefuse WhenSpent = "refuse" // they go on; new ones are refused
	SpentEnd    WhenSpent = "end"    // they are ended

	SRTPPass SRTP = "pass" // as the other side of the call has it; keys cross
	SRTPOff  SRTP = "off"  // plain RTP; SRTP of the other side ends at the edge
	SRTPSDES SRTP = "sdes" // RTP/SAVP with keys in the description (RFC 4568), ending at the edge

	LatchAuto   Latch = "auto"   // the first source if the party seems to be behind a NAT, else as strict
	LatchStrict Latch = "strict" // the described host or the one its SIP comes from, on any port
	LatchAny    Latch = "any"    // the first source, whoever it is

	DTMFPass DTMF = "pass" // as the other side does: telephone-event and INFO cross
	DTMFInfo DTMF = "info" // by SIP INFO alone; the edge makes telephone-events (RFC 4733) of it and back
)
