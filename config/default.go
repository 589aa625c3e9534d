package config

import (
	"log/slog"
	"net/netip"
	"time"
)

// Default returns the configuration of an empty file.
func Default() Config {
	loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	return Config{
		SIP: SIP{
			Listen: []Listener{
				{Transport: UDP, Addr: netip.AddrPortFrom(loopback, 5060)},
				{Transport: TCP, Addr: netip.AddrPortFrom(loopback, 5060)},
				{Transport: TLSTransport, Addr: netip.AddrPortFrom(loopback, 5061)},
			},
			UserAgent:      "Trunkline",
			TLS:            TLS{ClientAuth: ClientAuthNone},
			UDPReceive:     ReceiveAuto,
			ReceiveBuffer:  8 * MiB,
			MaxMessageSize: 64 * KiB,
			IdleTimeout:    Duration(10 * time.Minute),
			ForeignRoute:   RouteIgnore,
			Timers: Timers{
				T1:     Duration(500 * time.Millisecond),
				T2:     Duration(4 * time.Second),
				T4:     Duration(5 * time.Second),
				TimerB: Duration(32 * time.Second),
				TimerF: Duration(32 * time.Second),
				TimerC: Duration(3 * time.Minute),
			},
			Registrar: Registrar{Realm: "trunkline", Digest: DigestBoth, MinExpires: Duration(time.Minute), MaxExpires: Duration(time.Hour), KeepAlive: Duration(30 * time.Second), Contacts: 10},
		},
		Media:   Media{Relay: true, Ports: PortRange{20000, 29999}, Timeout: Duration(2 * time.Minute)},
		HTTP:    HTTP{Listen: "127.0.0.1:8080", RateLimit: 50, RateBurst: 100},
		Storage: Storage{Directory: "./data", CommitInterval: Duration(100 * time.Millisecond), Retention: 90 * Day, Queue: 100_000},
		Log:     Log{Level: slog.LevelInfo, Format: LogText},
		Trace:   Trace{Memory: 64 * MiB},
		Limits: Limits{
			MaxCalls:      50_000,
			UnknownRate:   100,
			UnknownAnswer: UnknownRefuse,
			SourceRate:    5000,
			OverloadDelay: Duration(200 * time.Millisecond),
			RetryAfter:    Duration(5 * time.Second),

			EmergencyNumbers: []string{"112", "911"},
		},
		Drain:     Drain{Deadline: Duration(time.Minute)},
		Probe:     Probe{Rate: 50, RingLimit: Duration(10 * time.Second), Interval: Duration(6 * time.Hour)},
		Providers: Providers{VonageAuth: VonageBasic},
	}
}

// DefaultTrunk is a trunk of which only name and server must be given.
func DefaultTrunk() Trunk {
	return Trunk{
		Transport:       UDP,
		RegisterExpires: Duration(5 * time.Minute),
		NumberFormat:    FormatE164,
		FromUser:        FromCaller,
		Diversion:       DiversionKeep,
		Headers:         Headers{InAllow: []HeaderName{}, InDeny: []HeaderName{}, OutAllow: []HeaderName{}, OutDeny: []HeaderName{}},
		CPSWait:         Duration(3 * time.Second),
		CPSOver:         OverWait,
		CPSCounts:       CountAttempts,
		CPSBackoff:      BackoffMarked,
		Oversize:        OversizeFragment,
		FailoverAfter:   failoverAfter,
		SessionExpires:  sessionExpires,
		MinSE:           minSE,
		Transfer:        TransferRefuse,
		FailoverOn:      []Failover{"5xx", FailoverTimeout},
		Redirect:        RedirectFollow,
		Health:          Health{Misses: 3, Hits: 2},
		Media:           defaultPartyMedia,
	}
}

var defaultPartyMedia = PartyMedia{Codecs: []string{}, SRTP: SRTPPass, Latch: LatchAuto, DTMF: DTMFPass}

// failoverAfter leaves room for an INVITE and three repetitions of it with a T1 of 500 ms.
const failoverAfter = Duration(4 * time.Second)

// RFC 4028 §4 and §5.
const (
	sessionExpires = Duration(30 * time.Minute)
	minSE          = Duration(90 * time.Second)
)

// DefaultAgent is an agent of which only the name must be given.
func DefaultAgent() Agent {
	return Agent{FailoverAfter: failoverAfter, Redirect: RedirectFollow, SessionExpires: sessionExpires, MinSE: minSE, Transfer: TransferHandle, Media: defaultPartyMedia, Toll: defaultToll}
}

var defaultToll = Toll{Countries: []string{}, WhenSpent: SpentRefuse}

// defaultOrganization is an organization of which only the name must be given.
func defaultOrganization() Organization { return Organization{Toll: defaultToll} }

// defaultDestination is a destination of which only the URI must be given.
func defaultDestination() Destination { return Destination{Priority: 1, Weight: 1} }

// defaultRoute is a route of which only the trunk must be given.
func defaultRoute() Route { return Route{Priority: 1, Weight: 1} }
