package carrier

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
)

func init() {
	// sipgo refuses to send a UDP message of more than this minus 200 octets, responses included, and the setting is the process's.
	sip.UDPMTUSize = 65535 + 200
	// What it says when connections close goes to a logger that only the process can set.
	sip.SetDefaultLogger(slog.New(slog.DiscardHandler))
}

// stack is one sipgo user agent bound to one address, UDP and TCP on the same port.
type stack struct {
	addr   netip.AddrPort
	agent  *sipgo.UserAgent
	server *sipgo.Server
	udp    *sipgo.Client // pinned to the listener, so that requests leave from its port
	tcp    *sipgo.Client // never pinned: sipgo would reuse a connection to somebody else
	packet net.PacketConn
	stream net.Listener
}

// newStack binds the address. Nothing is received before serve.
func newStack(listen, name string, log *slog.Logger) (*stack, error) {
	s := &stack{}
	if err := s.bind(listen); err != nil {
		return nil, err
	}
	agent, err := sipgo.NewUA(sipgo.WithUserAgent(name), sipgo.WithUserAgentHostname(s.addr.Addr().String()),
		sipgo.WithUserAgentTransportLayerOptions(sip.WithTransportLayerLogger(log)),
		sipgo.WithUserAgentTransactionLayerOptions(sip.WithTransactionLayerLogger(log), sip.WithTransactionLayerTerminateOnConnClose(),
			sip.WithTransactionLayerUnhandledResponseHandler(func(*sip.Response) {})))
	if err == nil {
		s.agent = agent
		s.server, err = sipgo.NewServer(agent, sipgo.WithServerLogger(log))
	}
	shown := []sipgo.ClientOption{sipgo.WithClientLogger(log), sipgo.WithClientAddr(s.addr.String()), sipgo.WithClientNAT()}
	if err == nil {
		s.udp, err = sipgo.NewClient(agent, append(shown, sipgo.WithClientConnectionAddr(s.addr.String()))...)
	}
	if err == nil {
		s.tcp, err = sipgo.NewClient(agent, shown...)
	}
	if err != nil {
		s.close()
		return nil, fmt.Errorf("sipgo: %w", err)
	}
	return s, nil
}

// bind opens UDP and TCP on one port. For port 0 it takes a UDP port whose TCP twin is free.
func (s *stack) bind(listen string) error {
	var last error
	for range 20 {
		packet, err := net.ListenPacket("udp", listen)
		if err != nil {
			return err
		}
		s.addr = packet.LocalAddr().(*net.UDPAddr).AddrPort()
		s.addr = netip.AddrPortFrom(s.addr.Addr().Unmap(), s.addr.Port())
		stream, err := net.Listen("tcp", s.addr.String())
		if err == nil {
			s.packet, s.stream = packet, stream
			return nil
		}
		packet.Close()
		last = err
		if _, port, _ := net.SplitHostPort(listen); port != "0" {
			break
		}
	}
	return last
}

// serve receives until close and returns when both listeners have ended.
func (s *stack) serve(ctx context.Context) (done chan struct{}, err error) {
	ended := make(chan struct{}, 2)
	go func() { _ = s.server.ServeUDP(s.packet); ended <- struct{}{} }()
	go func() { _ = s.server.ServeTCP(s.stream); ended <- struct{}{} }()
	done = make(chan struct{})
	go func() { <-ended; <-ended; close(done) }()
	// The pinned client finds the listener in this pool; sipgo tells nobody when it is there.
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for s.agent.TransportLayer().Pool("udp").Size() == 0 {
		select {
		case <-tick.C:
		case <-done:
			return done, errors.New("sipgo: the listeners ended at once")
		case <-ctx.Done():
			return done, ctx.Err()
		}
	}
	return done, nil
}

func (s *stack) close() {
	s.packet.Close()
	s.stream.Close()
	if s.agent != nil {
		_ = s.agent.Close()
	}
}

// client returns the one for a transport.
func (s *stack) client(transport string) *sipgo.Client {
	if transport == "tcp" {
		return s.tcp
	}
	return s.udp
}

// contact is our own Contact.
func (s *stack) contact(user, transport string) *sip.ContactHeader {
	uri := sip.Uri{Scheme: "sip", User: user, Host: uriHost(s.addr.Addr()), Port: int(s.addr.Port())}
	if transport == "tcp" {
		uri.UriParams = sip.NewParams()
		uri.UriParams.Add("transport", "tcp")
	}
	return &sip.ContactHeader{Address: uri}
}

func uriHost(a netip.Addr) string {
	if a.Is6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}

// hostPort is where a request for a URI goes: numeric hosts only, no DNS here.
func hostPort(uri sip.Uri) string {
	port := uri.Port
	if port == 0 {
		port = 5060
	}
	host := uri.Host
	if len(host) > 1 && host[0] == '[' {
		host = host[1 : len(host)-1]
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

func transportOf(uri sip.Uri) string {
	if t, ok := uri.UriParams.Get("transport"); ok && (t == "tcp" || t == "TCP") {
		return "tcp"
	}
	return "udp"
}
