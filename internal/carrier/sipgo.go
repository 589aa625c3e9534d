package carrier

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
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
	addr       netip.AddrPort
	agent      *sipgo.UserAgent
	server     *sipgo.Server
	udp        *sipgo.Client // pinned to the listener, so that requests leave from its port
	tcp        *sipgo.Client // TLS too; never pinned: sipgo would reuse a connection to somebody else
	packet     net.PacketConn
	stream     net.Listener
	secure     net.Listener // TLS; nil: none
	secureAddr netip.AddrPort
}

// newStack binds the address. Nothing is received before serve.
func newStack(listen, name string, log *slog.Logger) (*stack, error) {
	s := &stack{}
	if err := s.bind(listen); err != nil {
		return nil, err
	}
	agent, err := sipgo.NewUA(sipgo.WithUserAgent(name), sipgo.WithUserAgentHostname(s.addr.Addr().String()),
		sipgo.WithUserAgenTLSConfig(&tls.Config{InsecureSkipVerify: true}), // whoever is called is trusted, as doc.go says
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

// bind opens UDP and TCP on one port.
func (s *stack) bind(listen string) (err error) {
	s.packet, s.stream, err = bindBoth(listen)
	if err == nil {
		s.addr = addressOf(s.packet)
	}
	return err
}

// bindTLS takes the port above, or with a free port for the others a free one.
func (s *stack) bindTLS(listen netip.AddrPort, conf *tls.Config) error {
	port := listen.Port()
	if port != 0 {
		port++
	}
	l, err := net.Listen("tcp", netip.AddrPortFrom(listen.Addr(), port).String())
	if err != nil {
		return err
	}
	at := l.Addr().(*net.TCPAddr).AddrPort()
	s.secure, s.secureAddr = tls.NewListener(l, conf), netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	return nil
}

// serve receives until close; done is closed when all listeners have ended.
func (s *stack) serve(ctx context.Context) (done chan struct{}, err error) {
	var listeners sync.WaitGroup
	listeners.Go(func() { _ = s.server.ServeUDP(s.packet) })
	listeners.Go(func() { _ = s.server.ServeTCP(s.stream) })
	if s.secure != nil {
		listeners.Go(func() { _ = s.server.ServeTLS(s.secure) })
	}
	done = make(chan struct{})
	go func() { listeners.Wait(); close(done) }()
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
	if s.secure != nil {
		s.secure.Close()
	}
	if s.agent != nil {
		_ = s.agent.Close()
	}
}

// client returns the one for a transport.
func (s *stack) client(transport string) *sipgo.Client {
	if transport == "udp" {
		return s.udp
	}
	return s.tcp
}

// contact is our own Contact.
func (s *stack) contact(user, transport string) *sip.ContactHeader {
	uri := sip.Uri{Scheme: "sip", User: user, Host: uriHost(s.addr.Addr()), Port: int(s.addr.Port())}
	if transport == "tls" {
		uri.Port = int(s.secureAddr.Port())
	}
	if transport != "udp" {
		uri.UriParams = sip.NewParams()
		uri.UriParams.Add("transport", transport)
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
	switch {
	case port == 0 && transportOf(uri) == "tls":
		port = 5061
	case port == 0:
		port = 5060
	}
	host := uri.Host
	if len(host) > 1 && host[0] == '[' {
		host = host[1 : len(host)-1]
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// transportOf is "udp", "tcp" or "tls".
func transportOf(uri sip.Uri) string {
	t, _ := uri.UriParams.Get("transport")
	switch t = strings.ToLower(t); t {
	case "tcp", "tls":
		return t
	}
	return "udp"
}
