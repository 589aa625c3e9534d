package config

import (
	"fmt"
	"regexp"
	"strings"
)

// key describes one key of sipgo.yaml: the one place for its sentence, its allowed values and whether a change waits for a
// restart. Messages, the JSON Schema and the sample file are made of it, and a test compares it with the types.
type key struct {
	path    string   // "trunks[].server"
	doc     string   // one sentence
	allowed string   // for messages; empty: made from choices
	choices []string // closed set of words
	restart bool     // a change takes effect at the next start only
}

const (
	allowedAddress  = "an IPv4 or IPv6 address"
	allowedSource   = "address, network, host name, address:port, each also with udp://, tcp:// or tls:// before it"
	allowedHostPort = "host, host:port, [v6]:port"
	allowedName     = "1 to 64 letters, digits, '.', '_' and '-', beginning with a letter or digit"
	allowedFile     = "the path of a PEM file"
	allowedCodecs   = "a list of encoding names, as PCMU, G722 or opus"
	allowedBool     = "true, false"
	allowedFailover = "codes from 400 to 699, 4xx, 5xx, 6xx, timeout"
	allowedURL      = "http://host[:port][/path] or https://host[:port][/path], without user and query"
	allowedHeader   = "header names that the edge does not write itself, each with '*' at its end for all that begin so"
	allowedURI      = "sip:host, sip:user@host:port;transport=udp|tcp|tls, sips:host"
)

var keys = []key{
	{path: "sip", doc: "What the engine listens on, and its protocol timers."},
	{path: "sip.listen", restart: true, allowed: "a list of udp://address:port, tcp://address:port or tls://address:port, each with ?public=address if need be",
		doc: "Sockets to take SIP on; ?public= shows another address outside for one of them."},
	{path: "sip.public_address", restart: true, allowed: allowedAddress,
		doc: "What Via, Contact and SDP show; empty: the address listened on."},
	{path: "sip.user_agent", restart: true, allowed: "up to 128 printable ASCII characters",
		doc: "Server and User-Agent header; empty: neither is sent."},
	{path: "sip.tls", doc: "The identity shown on tls listeners."},
	{path: "sip.tls.certificate", restart: true, allowed: allowedFile,
		doc: "PEM file, leaf first; empty: self-signed, made at start; peers that check names refuse it."},
	{path: "sip.tls.key", restart: true, allowed: allowedFile,
		doc: "PEM file with the private key of certificate."},
	{path: "sip.tls.client_ca", restart: true, allowed: allowedFile,
		doc: "PEM file; certificates of clients are checked against it."},
	{path: "sip.tls.client_auth", restart: true, choices: []string{"none", "optional", "required"},
		doc: "Whether clients must show a certificate."},
	{path: "sip.shards", restart: true, allowed: "0 to 256",
		doc: "Goroutines that own calls; 0: by cores."},
	{path: "sip.udp_receive", restart: true, choices: []string{"auto", "raw", "portable"},
		doc: "How datagrams are read: blocking reads on locked threads (Linux), the portable loop, or raw where it works."},
	{path: "sip.receive_buffer", restart: true, allowed: "64KiB to 1GiB",
		doc: "Kernel receive buffer of each UDP socket; net.core.rmem_max may cap it."},
	{path: "sip.max_message_size", restart: true, allowed: "4KiB to 16MiB",
		doc: "Largest message taken on a stream; a datagram ends at 65,535 bytes anyhow."},
	{path: "sip.idle_timeout", restart: true, allowed: "0 or 10s to 24h",
		doc: "A silent TCP or TLS connection is closed after this; 0: never."},
	{path: "sip.timers", doc: "RFC 3261 §17 timers; a trunk may have its own."},
	{path: "sip.timers.t1", restart: true, allowed: "50ms to 10s",
		doc: "Round-trip estimate: the first retransmission interval."},
	{path: "sip.timers.t2", restart: true, allowed: "50ms to 1m, not below t1",
		doc: "Longest interval between retransmissions."},
	{path: "sip.timers.t4", restart: true, allowed: "50ms to 1m",
		doc: "How long a message may live in the network."},
	{path: "sip.timers.timer_b", restart: true, allowed: "500ms to 5m",
		doc: "An INVITE without any response fails after this."},
	{path: "sip.timers.timer_f", restart: true, allowed: "500ms to 5m",
		doc: "Any other request without a final response fails after this."},
	{path: "sip.timers.timer_c", restart: true, allowed: "1s to 1h",
		doc: "A ringing INVITE is cancelled this long after its last provisional response."},
	{path: "sip.foreign_route", restart: true, choices: []string{"ignore", "refuse", "follow"},
		doc: "An INVITE with a Route to elsewhere goes where its number says, is refused, or follows it to an address that one of the number's trunks calls from."},
	{path: "sip.resolvers", restart: true, allowed: "a list of address:port or address",
		doc: "DNS servers, in the order to ask them; empty: those of the system, with its search list."},
	{path: "sip.registrar", doc: "How agents with an auth_user are challenged and registered."},
	{path: "sip.registrar.realm", restart: true, allowed: "1 to 255 printable characters without '\"' and '\\'",
		doc: "Realm of the challenges."},
	{path: "sip.registrar.digest", restart: true, choices: []string{"both", "md5", "sha256"},
		doc: "What challenges ask for: SHA-256 or MD5, as the agent chooses, or one of them; baresip 1.0 and others fail where they are given the choice."},
	{path: "sip.registrar.min_expires", restart: true, allowed: "10s to 1h",
		doc: "A registration that wants to last less gets 423."},
	{path: "sip.registrar.max_expires", restart: true, allowed: "1m to 24h, not below min_expires",
		doc: "A registration that wants to last longer is granted this; over TCP and TLS at most sip.idle_timeout, so that refreshes keep the connection."},
	{path: "sip.registrar.keep_alive", restart: true, allowed: "0 or 5s to 10m",
		doc: "Agents that have registered over UDP from behind a NAT are sent OPTIONS this often, so that the NAT lets calls in; 0: never."},
	{path: "sip.registrar.contacts", restart: true, allowed: "1 to 15",
		doc: "Places one agent may be registered at; a call rings them one after the other, the latest first."},

	{path: "media", doc: "The RTP relay."},
	{path: "media.relay", restart: true, allowed: allowedBool,
		doc: "Whether RTP passes through the edge; false: SDP passes end to end, signalling only."},
	{path: "media.ports", restart: true, allowed: "first-last within 1024-65535, four ports or more",
		doc: "UDP ports of the relay, two for each side of a call."},
	{path: "media.address", restart: true, allowed: allowedAddress,
		doc: "Local address of the relay; empty: that of the SIP listener in use."},
	{path: "media.threads", restart: true, allowed: "0 to 256",
		doc: "Relay threads; 0: by cores."},
	{path: "media.timeout", restart: true, allowed: "0 or 5s to 24h",
		doc: "An answered call without RTP from either party is ended after this, holds apart; 0: never."},
	{path: "media.early_timeout", restart: true, allowed: "0 or 5s to 24h",
		doc: "The same before the answer; 0: never, since many a call rings without media."},

	{path: "http", doc: "API, console, /metrics, /healthz and /readyz."},
	{path: "http.listen", restart: true, allowed: "address:port, :port, or empty for no HTTP",
		doc: "Where HTTP is served; empty: nowhere."},
	{path: "http.tls", doc: "HTTPS in place of HTTP."},
	{path: "http.tls.certificate", restart: true, allowed: allowedFile,
		doc: "PEM file, leaf first; empty: plain HTTP."},
	{path: "http.tls.key", restart: true, allowed: allowedFile,
		doc: "PEM file with the private key of certificate."},
	{path: "http.rate_limit", restart: true, allowed: "0 or more",
		doc: "Requests per second of one API key; more get 429; 0: no limit."},
	{path: "http.rate_burst", restart: true, allowed: "0 to 100000",
		doc: "Requests of one API key at once after a pause; 0: one second's worth."},

	{path: "storage", doc: "Where and how data is kept."},
	{path: "storage.directory", restart: true, allowed: "the path of a directory",
		doc: "SQLite files and the key ring; made when missing."},
	{path: "storage.commit_interval", restart: true, allowed: "10ms to 10s",
		doc: "Call records are committed this often, and a crash loses no older one."},
	{path: "storage.retention", restart: true, allowed: "0 or 1h to 3650d",
		doc: "Call records older than this are deleted; 0: never."},
	{path: "storage.queue", restart: true, allowed: "1000 to 10000000",
		doc: "Call records that may wait for the disk; more are dropped and counted."},

	{path: "log", doc: "What goes to stderr."},
	{path: "log.level", choices: []string{"debug", "info", "warn", "error"},
		doc: "The least important message still written."},
	{path: "log.format", restart: true, choices: []string{"text", "json"},
		doc: "How a message is written."},

	{path: "trace", doc: "Recent SIP messages kept in memory for ladders."},
	{path: "trace.memory", restart: true, allowed: "0 or 1MiB to 64GiB",
		doc: "For all calls together; 0: no trace."},

	{path: "limits", doc: "What is above these is refused or dropped, and counted."},
	{path: "limits.max_calls", allowed: "0 or more",
		doc: "Calls in progress in this process; 0: no limit."},
	{path: "limits.unknown_rate", allowed: "0 or more",
		doc: "Requests per second from unlisted addresses, all together, that are answered; the rest is dropped."},
	{path: "limits.unknown_answer", choices: []string{"refuse", "drop"},
		doc: "What an unlisted source gets: one uniform refusal, or silence."},
	{path: "limits.source_rate", allowed: "0 or more",
		doc: "Requests per second outside calls that one address of a trunk or agent may send, a second's worth at once; more get 503. 0: no limit."},
	{path: "limits.emergency_numbers", restart: true, allowed: "a list of 2 to 8 digits each",
		doc: "Called numbers that no limit on rates and calls holds up, and trunks that are down are tried for, beside urn:service:sos."},
	{path: "limits.overload_delay", restart: true, allowed: "0 or 10ms to 10s",
		doc: "New calls get 503 while their INVITEs wait longer than this to be received; 0: never."},
	{path: "limits.retry_after", allowed: "1s to 1h, whole seconds",
		doc: "Retry-After of a 503 for overload or drain."},

	{path: "drain", doc: "What SIGTERM waits for."},
	{path: "drain.deadline", allowed: "0 to 24h",
		doc: "Calls still up after this are ended; 0: at once."},

	{path: "probe", doc: "How trunks and numbers are tested, over the API and by schedule."},
	{path: "probe.target", restart: true, allowed: "a number, + and 8 to 15 digits, or a SIP URI",
		doc: "Whom test calls go to where a test names nobody; each is given up as it rings."},
	{path: "probe.rate", restart: true, allowed: "0 or more",
		doc: "Tests begun per second, all together; 0: no limit."},
	{path: "probe.ring_limit", restart: true, allowed: "1s to 1m",
		doc: "Longest a test call is left without a final response."},
	{path: "probe.interval", restart: true, allowed: "0 or 1m to 30d",
		doc: "Each trunk's credentials and binding are proven again this often, and its test call if there is a target; 0: never."},
	{path: "probe.number_interval", restart: true, allowed: "0 or 1m to 30d",
		doc: "Each number is dialled out of its trunk and seen to come in again this often; 0: never."},
	{path: "probe.allow_private_targets", allowed: allowedBool,
		doc: "Whether tests asked for over the API may reach loopback and private networks."},

	{path: "providers", doc: "APIs of the companies that sell trunks; other URLs are for proxies and tests."},
	{path: "providers.twilio_url", restart: true, allowed: allowedURL, doc: "Empty: https://api.twilio.com."},
	{path: "providers.twilio_trunking_url", restart: true, allowed: allowedURL, doc: "Empty: https://trunking.twilio.com."},
	{path: "providers.telnyx_url", restart: true, allowed: allowedURL, doc: "Empty: https://api.telnyx.com."},
	{path: "providers.signalwire_url", restart: true, allowed: allowedURL, doc: "Empty: the customer's own space below signalwire.com."},
	{path: "providers.vonage_url", restart: true, allowed: allowedURL, doc: "Empty: https://rest.nexmo.com."},
	{path: "providers.vonage_auth", restart: true, choices: []string{"basic", "query"}, doc: "How Vonage is shown key and secret."},

	{path: "trunks", allowed: "a list of {name, server, ...}", doc: "Carrier connections managed by this file; the API shows them and refuses to change them."},
	{path: "trunks[].name", allowed: allowedName, doc: "Name in numbers, records, metrics and logs."},
	{path: "trunks[].server", allowed: allowedHostPort, doc: "Where requests go; without a port RFC 3263 applies."},
	{path: "trunks[].outbound_proxy", allowed: allowedHostPort, doc: "Next hop in place of server; empty: none."},
	{path: "trunks[].domain", allowed: "a host name or address, without port", doc: "Host in Request-URI, From and To; empty: host of server."},
	{path: "trunks[].transport", choices: []string{"udp", "tcp", "tls"}, doc: "How the server is reached."},
	{path: "trunks[].listener", allowed: "an entry of sip.listen", doc: "Listener that requests leave from; empty: the first of that transport and address family."},
	{path: "trunks[].realm", allowed: "up to 255 printable characters without '\"' and '\\'", doc: "Only challenges of this realm are answered; empty: any."},
	{path: "trunks[].auth_user", allowed: "up to 255 printable characters without '\"' and '\\'", doc: "Digest user name; empty: no digest."},
	{path: "trunks[].auth_password", allowed: "one line of up to 1024 characters", doc: "Digest password; better in auth_password_file."},
	{path: "trunks[].auth_password_file", allowed: "the path of a readable file", doc: "File whose first line is the digest password."},
	{path: "trunks[].register", allowed: allowedBool, doc: "Whether the edge registers on this trunk."},
	{path: "trunks[].register_expires", allowed: "30s to 24h", doc: "Expiry asked for; what the registrar grants rules."},
	{path: "trunks[].source_addresses", allowed: "a list of " + allowedSource, doc: "Addresses, networks or host names this carrier calls from, some with a transport or port."},
	{path: "trunks[].cps_limit", allowed: "a number above 0, or null for no limit", doc: "Calls per second, may be a fraction; null: not paced."},
	{path: "trunks[].cps_key", allowed: allowedName, doc: "Trunks with the same key share one limit; null: the trunk's own."},
	{path: "trunks[].cps_burst", allowed: "0 to 10000", doc: "Calls that may go out at once after a pause, within the limit of a second; 0: always evenly spaced."},
	{path: "trunks[].cps_wait", allowed: "0 or 1ms to 1m", doc: "How long a call above the limit waits for its turn; 0: it is refused at once."},
	{path: "trunks[].cps_over", choices: []string{"wait", "reject", "spill"}, doc: "A call above the limit waits for its turn, is refused at once (503 with Retry-After), or goes to the number's next route and waits on the last."},
	{path: "trunks[].cps_counts", choices: []string{"attempts", "invites"}, doc: "What the limit counts: attempts, whose challenge is answered for nothing, or every INVITE on the wire but its repetitions."},
	{path: "trunks[].cps_backoff", choices: []string{"marked", "any", "never"}, doc: "Refusals that lower the rate for a while: 429 and a 503 with Retry-After or the carrier's words for too many calls a second, any 503 too, or none."},
	{path: "trunks[].max_calls", allowed: "0 or more, or null for no limit", doc: "Calls in progress on this trunk; null: no limit."},
	{path: "trunks[].number_format", choices: []string{"e164", "digits", "national"}, doc: "How numbers are sent: +15550001234, 15550001234, or in national form within country_code."},
	{path: "trunks[].country_code", allowed: "1 to 3 digits, not beginning with 0", doc: "Completes numbers that come in national form; empty: none does."},
	{path: "trunks[].national_prefix", allowed: "up to 4 digits", doc: "Digits before a national number, as 0 in Germany and 1 in North America."},
	{path: "trunks[].user_phone", allowed: allowedBool, doc: "Whether URIs with a number carry user=phone."},
	{path: "trunks[].tech_prefix", allowed: "up to 16 digits, '*' and '+'", doc: "Goes before the called number in Request-URI and To; empty: nothing."},
	{path: "trunks[].from_user", choices: []string{"caller", "auth_user"}, doc: "What From shows: the caller's number, or the trunk's auth_user, with the number in P-Asserted-Identity of a trusted trunk."},
	{path: "trunks[].from_domain", allowed: "a host name or address, without port", doc: "Host in From; empty: domain."},
	{path: "trunks[].trusted", allowed: allowedBool, doc: "Whether the trunk is told who calls by P-Asserted-Identity, also of callers who withhold it, and believed when it says so itself."},
	{path: "trunks[].diversion", choices: []string{"keep", "diversion", "history_info", "drop"}, doc: "How the trunk hears who diverted a call: as it comes, always in one of the two headers, or not at all."},
	{path: "trunks[].headers", doc: "Headers that cross beside the usual ones, or not at all; a name may end in '*', and what is denied is not allowed."},
	{path: "trunks[].headers.in_allow", allowed: "a list of " + allowedHeader, doc: "From the trunk to agents."},
	{path: "trunks[].headers.in_deny", allowed: "a list of " + allowedHeader, doc: "Not from the trunk to agents."},
	{path: "trunks[].headers.out_allow", allowed: "a list of " + allowedHeader, doc: "From agents to the trunk."},
	{path: "trunks[].headers.out_deny", allowed: "a list of " + allowedHeader, doc: "Not from agents to the trunk."},
	{path: "trunks[].oversize", choices: []string{"fragment", "tcp"}, doc: "What happens to a request over 1,300 bytes on a udp trunk: sent all the same, or over TCP."},
	{path: "trunks[].keep_alive", allowed: "0 or 1s to 1h, on tcp and tls", doc: "A ping (CRLF CRLF) goes out after this much silence of ours, and a connection whose peer does not answer is closed; 0: none."},
	{path: "trunks[].failover_after", allowed: "0 or 500ms to 5m", doc: "A server that sends nothing at all for this long gives way to the next; 0: timer_b. The last one always has timer_b."},
	{path: "trunks[].failover_on", allowed: "a list of " + allowedFailover, doc: "Final responses, or timeout for none at all, that take a call to the next server or route; what is no 5xx goes to the next route at once."},
	{path: "trunks[].redirect", choices: []string{"follow", "refuse", "relay"}, doc: "What a 3xx does: followed to other addresses of this carrier, refused (480), or passed to the caller with the numbers it names."},
	{path: "trunks[].session_expires", allowed: "0 or 90s to 24h, not below min_se", doc: "Session interval asked for; the session is refreshed at half of it (RFC 4028), and a call whose peer is gone ends. 0: none is asked for."},
	{path: "trunks[].min_se", allowed: "90s to 24h", doc: "Smallest session interval taken from this side; a smaller one gets 422."},
	{path: "trunks[].transfer", choices: []string{"refuse", "handle", "pass"}, doc: "What a REFER of this carrier does: refused, handled by the edge, which calls the target as the call's agent could, or passed to the other party."},
	{path: "trunks[].media", doc: "What this carrier may and wants to have in its media."},
	{path: "trunks[].media.codecs", allowed: allowedCodecs, doc: "Audio codecs it may use, the preferred one first, as PCMA and PCMU; telephone-event and CN go with them; empty: any, in the order offered."},
	{path: "trunks[].media.srtp", choices: []string{"pass", "off", "sdes"}, doc: "How its RTP is protected: as the other side of the call has it, with the keys crossing; not at all; or by SRTP with keys in the description (RFC 4568), which it must offer itself. Off and sdes end at the edge."},
	{path: "trunks[].media.latch", choices: []string{"auto", "strict", "any"}, doc: "Which sources of RTP are believed besides the one its description names: the first one if it seems to be behind a NAT, only its own hosts, or the first one whoever it is."},
	{path: "trunks[].media.dtmf", choices: []string{"pass", "info"}, doc: "How it speaks of digits: as the other side of the call does, telephone-event and INFO crossing; or by SIP INFO alone, of which the edge makes telephone-events for the other side, and back. With info SRTP ends at the edge."},
	{path: "trunks[].health", doc: "How a trunk is found to be down; calls then pass it over, and hear 503 at once when no other is left."},
	{path: "trunks[].health.interval", allowed: "0 or 1s to 1h", doc: "OPTIONS go to each server this often; 0: none do, and no trunk is ever down."},
	{path: "trunks[].health.misses", allowed: "1 to 100", doc: "Bad signs in a row after which a server is down: 503, 408, an error, or silence where OPTIONS were answered before; calls without any answer."},
	{path: "trunks[].health.hits", allowed: "1 to 100", doc: "Good signs in a row after which it is up again: any other response to OPTIONS or to a call."},
	{path: "trunks[].source_rate", allowed: "0 or more, or null for that of limits", doc: "As limits.source_rate, for each address of this trunk; null: as there."},
	{path: "trunks[].timers", doc: "As in sip.timers; 0: as there."},
	{path: "trunks[].timers.t1", allowed: "0 or 50ms to 10s", doc: "As sip.timers.t1."},
	{path: "trunks[].timers.t2", allowed: "0 or 50ms to 1m, not below t1", doc: "As sip.timers.t2."},
	{path: "trunks[].timers.t4", allowed: "0 or 50ms to 1m", doc: "As sip.timers.t4."},
	{path: "trunks[].timers.timer_b", allowed: "0 or 500ms to 5m", doc: "As sip.timers.timer_b."},
	{path: "trunks[].timers.timer_f", allowed: "0 or 500ms to 5m", doc: "As sip.timers.timer_f."},
	{path: "trunks[].timers.timer_c", allowed: "0 or 1s to 1h", doc: "As sip.timers.timer_c."},
	{path: "trunks[].tls", doc: "How a tls trunk is dialled."},
	{path: "trunks[].tls.server_name", allowed: "a host name or address, without port", doc: "Name the server's certificate must carry; empty: domain."},
	{path: "trunks[].tls.ca", allowed: allowedFile, doc: "PEM file the server's certificate is checked against; empty: the system's roots."},
	{path: "trunks[].tls.certificate", allowed: allowedFile, doc: "PEM file shown to this carrier; empty: that of sip.tls."},
	{path: "trunks[].tls.key", allowed: allowedFile, doc: "PEM file with the private key of certificate."},

	{path: "organizations", allowed: "a list of {name, toll}", doc: "What the agents of one organization may spend together, each within its own toll as well."},
	{path: "organizations[].name", allowed: "1 to 120 printable characters, or '*'", doc: "Name or id of an organization as the API knows it, or as agents of this file name it; '*': each one that is not listed, by itself."},
	{path: "organizations[].toll", doc: "As agents[].toll, for all its agents together."},
	{path: "organizations[].toll.countries", allowed: "a list of first digits after the plus, as 1, 44 or 4930", doc: "As agents[].toll.countries."},
	{path: "organizations[].toll.premium", allowed: allowedBool, doc: "As agents[].toll.premium; a number must be allowed by both."},
	{path: "organizations[].toll.calls_per_minute", allowed: "0 to 100000", doc: "As agents[].toll.calls_per_minute."},
	{path: "organizations[].toll.minutes_per_day", allowed: "0 to 10000000", doc: "As agents[].toll.minutes_per_day."},
	{path: "organizations[].toll.when_spent", choices: []string{"refuse", "end"}, doc: "As agents[].toll.when_spent."},

	{path: "agents", allowed: "a list of {name, destinations, ...}", doc: "Where inbound calls go and who may call out."},
	{path: "agents[].name", allowed: allowedName, doc: "Name in numbers, records and logs."},
	{path: "agents[].destinations", allowed: "a list of {uri, priority, weight}", doc: "SIP addresses of the agent."},
	{path: "agents[].destinations[].uri", allowed: allowedURI, doc: "SIP address; without a user the called number goes there."},
	{path: "agents[].destinations[].priority", allowed: "0 to 65535", doc: "Lower is tried first."},
	{path: "agents[].destinations[].weight", allowed: "0 to 65535", doc: "Share of the calls among equals in priority; 0: only when no other is left."},
	{path: "agents[].source_addresses", allowed: "a list of " + allowedSource, doc: "Addresses, networks or host names this agent calls from."},
	{path: "agents[].failover_after", allowed: "0 or 500ms to 5m", doc: "A destination that sends nothing at all for this long gives way to the next; 0: timer_b."},
	{path: "agents[].redirect", choices: []string{"follow", "refuse", "relay"}, doc: "What a 3xx does: followed to other addresses of this agent, refused (480), or passed to the caller with the numbers it names."},
	{path: "agents[].session_expires", allowed: "0 or 90s to 24h, not below min_se", doc: "Session interval asked for; the session is refreshed at half of it (RFC 4028), and a call whose peer is gone ends. 0: none is asked for."},
	{path: "agents[].min_se", allowed: "90s to 24h", doc: "Smallest session interval taken from this side; a smaller one gets 422."},
	{path: "agents[].organization", allowed: "the name of one of organizations", doc: "Organization whose toll it shares; empty: none."},
	{path: "agents[].toll", doc: "Guards against outbound calls that cost more than they should; emergency calls pass them."},
	{path: "agents[].toll.countries", allowed: "a list of first digits after the plus, as 1, 44 or 4930", doc: "Country codes, or longer first digits, that called numbers must have; empty: any."},
	{path: "agents[].toll.premium", allowed: allowedBool, doc: "Whether premium rate, satellite and shared cost numbers may be called."},
	{path: "agents[].toll.calls_per_minute", allowed: "0 to 100000", doc: "Outbound calls in any rolling minute; 0: no limit."},
	{path: "agents[].toll.minutes_per_day", allowed: "0 to 10000000", doc: "Minutes of answered outbound calls in a day of UTC, those in progress counted; 0: no limit. A restart forgets the last two seconds at most."},
	{path: "agents[].toll.when_spent", choices: []string{"refuse", "end"}, doc: "What becomes of calls in progress when the minutes of the day are used up: they go on and new ones are refused, or they end within ten seconds."},
	{path: "agents[].auth_user", allowed: "up to 255 printable characters without '\"' and '\\', of no other agent", doc: "Digest user name: by it the agent is known from any address, and registers; empty: only by source_addresses."},
	{path: "agents[].auth_password", allowed: "one line of up to 1024 characters", doc: "Digest password; better in auth_password_file."},
	{path: "agents[].auth_password_file", allowed: "the path of a readable file", doc: "File whose first line is the digest password."},
	{path: "agents[].transfer", choices: []string{"refuse", "handle", "pass"}, doc: "What a REFER of this agent does: refused, handled by the edge, which calls the target as the call's agent could, or passed to the other party."},
	{path: "agents[].media", doc: "As in trunks[].media."},
	{path: "agents[].media.codecs", allowed: allowedCodecs, doc: "As trunks[].media.codecs."},
	{path: "agents[].media.srtp", choices: []string{"pass", "off", "sdes"}, doc: "As trunks[].media.srtp."},
	{path: "agents[].media.latch", choices: []string{"auto", "strict", "any"}, doc: "As trunks[].media.latch."},
	{path: "agents[].media.dtmf", choices: []string{"pass", "info"}, doc: "As trunks[].media.dtmf."},
	{path: "agents[].forwarding", allowed: allowedBool, doc: "Whether it may call out with the number of another caller when Diversion or History-Info names a number of its own."},
	{path: "agents[].max_calls", allowed: "0 or more, or null for no limit", doc: "Calls in progress with this agent; null: no limit."},
	{path: "agents[].source_rate", allowed: "0 or more, or null for that of limits", doc: "As limits.source_rate, for each address of this agent; null: as there."},

	{path: "numbers", allowed: "a list of {number, trunk, ...}", doc: "Telephone numbers and where their calls go."},
	{path: "numbers[].number", allowed: "'+' and 3 to 15 digits, the first not 0", doc: "The number in E.164 form."},
	{path: "numbers[].trunk", allowed: "the name of a trunk", doc: "Trunk that its calls come from, and go out over unless there are routes."},
	{path: "numbers[].inbound_agent", allowed: "the name of an agent", doc: "Agent its calls go to; empty: they are refused."},
	{path: "numbers[].outbound_agent", allowed: "the name of an agent", doc: "Agent that may call out with it, and does when it names no number and this is its only one; empty: nobody."},
	{path: "numbers[].routes", allowed: "a list of {trunk, priority, weight}", doc: "Trunks its outgoing calls may take, one after the other; empty: only its trunk."},
	{path: "numbers[].routes[].trunk", allowed: "the name of a trunk", doc: "Trunk to go out over."},
	{path: "numbers[].routes[].priority", allowed: "0 to 65535", doc: "Lower is taken first."},
	{path: "numbers[].routes[].weight", allowed: "0 to 65535", doc: "Share of the calls among routes of one priority; 0: only when no other is left."},
}

var keyByPath = func() map[string]*key {
	m := make(map[string]*key, len(keys))
	for i := range keys {
		m[keys[i].path] = &keys[i]
	}
	return m
}()

var indexes = regexp.MustCompile(`\[\d+\]`)

// describe returns what is known of a key path with or without indexes; an element of a list by its list.
func describe(path string) *key {
	pattern := indexes.ReplaceAllString(path, "[]")
	if k, ok := keyByPath[pattern]; ok {
		return k
	}
	if list, ok := keyByPath[strings.TrimSuffix(pattern, "[]")]; ok {
		return &key{path: pattern, allowed: strings.TrimPrefix(list.allowed, "a list of ")}
	}
	return &key{path: pattern}
}

// allow says what may stand at k, in words for a message.
func (k *key) allow() string {
	if len(k.choices) > 0 {
		return strings.Join(k.choices, ", ")
	}
	return k.allowed
}

// at is the path of element i of the list at path.
func at(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }
