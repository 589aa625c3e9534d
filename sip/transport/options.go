package transport

import (
	"errors"
	"fmt"

	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"time"

	"trunkline/sip/wire"
)

// Receive loops that Options.Loop can ask for.
const (
	// LoopAuto is LoopRaw on Linux, LoopPortable elsewhere.
	LoopAuto Loop = iota
	// LoopRaw waits in the kernel on the shard's own locked thread; each shard holds one P, see ReserveProcs. Linux only.
	LoopRaw
	// LoopPortable reads datagrams with net.UDPConn on goroutines of its own.
	LoopPortable
)

// Loop chooses how a shard waits for datagrams.
type Loop uint8

// Options of Listen. Zero fields have the default named; counts and sizes must not be negative.
type Options struct {
	// Listen holds URLs such as "udp://127.0.0.1:5060", "tcp://0.0.0.0:5060" or "tls://[::1]:5061", at least one. The host
	// is an IP address; port 0 takes a free one; without a port it is 5060, or 5061 for TLS. An IPv6 wildcard takes IPv6 only.
	// "?public=address" behind one stands in place of PublicAddress for that listener.
	Listen []string
	// PublicAddress is what Via and Contact show in place of the listener's own address: "host", "host:port", an IP address
	// with or without port. An IP address is shown only by listeners of its family. Empty: the address listened on.
	PublicAddress string
	Shards        int // 1 to 64; default 1
	Loop          Loop
	// Dispatch says which shard (0 … Shards-1) a message belongs to that arrived on no shard's own socket: over a stream, or with the
	// portable loop. A datagram of the raw loop goes to the shard whose socket took it, which may Forward it. Dispatch is called
	// concurrently, only when Shards > 1, and must not keep b. Nil, or another result: shard 0.
	Dispatch func(b []byte) (shard int)

	Tick          time.Duration // how long the raw loop stays in the kernel at most; the grain of Receive's wait. Default 10 ms, 1 ms to 1 s
	SocketBuffer  int           // bytes of SO_RCVBUF and SO_SNDBUF per UDP socket; default 8 MiB
	QueueMessages int           // messages, per shard, that wait for Receive (streams, Forward, the portable loop); default 8192
	QueueBytes    int           // their bytes; default 8 MiB, at least 256 KiB

	TLS TLSFiles

	MaxAccepted      int           // accepted stream connections; default 10,000
	MaxPerSource     int           // of these, from one IPv4 address or IPv6 /64; default 1,000
	MaxDialled       int           // connections we opened or are opening; default 2,000
	WriteQueue       int           // bytes waiting on one connection before it is closed as too slow; default 1 MiB
	WriteTimeout     time.Duration // for one write to make it into the kernel; default 10 s
	ConnectTimeout   time.Duration // TCP connect and TLS handshake together; default 5 s
	HandshakeTimeout time.Duration // TLS handshake of an accepted connection; default 10 s
	MessageTimeout   time.Duration // from the first byte of a message to its last, and from accept to the first message or keep-alive; default 32 s
	IdleTimeout      time.Duration // a connection without a message or keep-alive either way is closed, or Never; default 10 min
	UnackedTimeout   time.Duration // bytes the peer's kernel does not acknowledge break the connection (Linux); default 20 s
	PongTimeout      time.Duration // for the answer to our ping (Peer.Ping), RFC 5626 §4.4.1; default 10 s

	Log *slog.Logger // warnings about sockets; nil: none
}

// Never is an IdleTimeout that closes no connection for its silence.
const Never time.Duration = -1

// TLSFiles serve the listeners, and are the default for connections we open.
type TLSFiles struct {
	Certificate, Key string // PEM files; needed by a tls:// listener. Network.ReloadTLS reads them again
	ClientCA         string // PEM file of the authorities that may sign client certificates; empty: none is asked for
	RequireClient    bool   // with ClientCA: refuse clients without a certificate; else one is checked only if shown
	Show             bool   // Certificate to servers we call as well, when they ask and the Peer has none of its own
	RootCA           string // PEM file of the authorities trusted for connections we open; empty: the system's
}

// Peer is what we demand of, and show to, the other end of connections we open. Flows with the same *Peer and address share a
// connection; flows with different ones never do, even to one address. It must not change once used.
type Peer struct {
	ServerName   string            // name the certificate must carry (RFC 5922 §7) and SNI; empty: the IP address
	RootCAs      *x509.CertPool    // nil: Options.TLS.RootCA
	Certificates []tls.Certificate // the first is shown when the server asks; none: Options.TLS.Certificate, if it may be shown
	Ping         time.Duration     // send a keep-alive after that much silence of ours and expect its answer; 0: none
}

// complete returns o with defaults in place of zeros, or says what is out of range.
func (o Options) complete() (Options, error) {
	if len(o.Listen) == 0 {
		return o, errors.New("nothing to listen on")
	}
	if len(o.Listen) > maxListeners {
		return o, fmt.Errorf("%d listeners, at most %d are possible", len(o.Listen), maxListeners)
	}
	var wrong error
	number := func(name string, v *int, preset, least, most int) {
		if *v == 0 {
			*v = preset
		}
		if *v < least || *v > most {
			wrong = errors.Join(wrong, fmt.Errorf("%s %d: want %d to %d", name, *v, least, most))
		}
	}
	duration := func(name string, v *time.Duration, preset, most time.Duration) {
		const least = time.Millisecond
		if *v == 0 {
			*v = preset
		}
		if *v < least || *v > most {
			wrong = errors.Join(wrong, fmt.Errorf("%s %s: want %s to %s", name, *v, least, most))
		}
	}
	const day = 24 * time.Hour
	number("Shards", &o.Shards, 1, 1, 64)
	number("SocketBuffer", &o.SocketBuffer, 8<<20, 64<<10, 1<<30)
	number("QueueMessages", &o.QueueMessages, 8192, 64, 1<<24)
	number("QueueBytes", &o.QueueBytes, 8<<20, 256<<10, 1<<30)
	number("MaxAccepted", &o.MaxAccepted, 10_000, 1, 1<<24)
	number("MaxPerSource", &o.MaxPerSource, 1_000, 1, 1<<24)
	number("MaxDialled", &o.MaxDialled, 2_000, 1, 1<<24)
	number("WriteQueue", &o.WriteQueue, 1<<20, wire.MaxMessage, 1<<30)
	duration("Tick", &o.Tick, 10*time.Millisecond, time.Second)
	duration("WriteTimeout", &o.WriteTimeout, 10*time.Second, day)
	duration("ConnectTimeout", &o.ConnectTimeout, 5*time.Second, day)
	duration("HandshakeTimeout", &o.HandshakeTimeout, 10*time.Second, day)
	duration("MessageTimeout", &o.MessageTimeout, 32*time.Second, day)
	if o.IdleTimeout != Never {
		duration("IdleTimeout", &o.IdleTimeout, 10*time.Minute, day)
	}
	duration("UnackedTimeout", &o.UnackedTimeout, 20*time.Second, day)
	duration("PongTimeout", &o.PongTimeout, 10*time.Second, day)
	switch {
	case o.Loop > LoopPortable:
		wrong = errors.Join(wrong, fmt.Errorf("no receive loop has number %d", o.Loop))
	case o.Loop == LoopRaw && !haveRaw:
		wrong = errors.Join(wrong, errNoRaw)
	case o.Loop == LoopAuto && haveRaw:
		o.Loop = LoopRaw
	case o.Loop == LoopAuto:
		o.Loop = LoopPortable
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o, wrong
}

// maxListeners is the number of bits in rawSockets.ready.
const maxListeners = 64

var errNoRaw = errors.New("the raw receive loop needs Linux on amd64 or arm64")
