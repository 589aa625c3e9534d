package resolve

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// rounds is how often each resolver is asked; the second time it has twice as long.
const rounds = 2

// udpSize is the largest answer taken over UDP: what passes without fragments nearly everywhere (RFC 9715). A larger one
// comes truncated and is asked for over TCP.
const udpSize = 1232

// exchange asks the resolvers in turn until one says yes or no. One that fails is asked last by the questions to come. The error
// is ErrUnavailable with what the last one did.
func (r *Resolver) exchange(q question) (*dns.Msg, error) {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-r.ctx.Done():
		return nil, ErrUnavailable
	}
	servers := r.system.resolvers()
	if len(servers) == 0 {
		return nil, fmt.Errorf("%w: none is configured", ErrUnavailable)
	}
	var last error
	timeout := r.timeout
	for range rounds {
		for _, server := range servers {
			m, err := r.exchangeWith(server, q, timeout)
			if err == nil {
				return m, nil
			}
			if r.ctx.Err() != nil {
				return nil, ErrUnavailable
			}
			last = fmt.Errorf("%w: %s: %w", ErrUnavailable, server, err)
			r.system.failed(server)
		}
		timeout *= 2
	}
	return nil, last
}

// exchangeWith asks one resolver, over UDP and, if the answer does not fit, over TCP. Refusals and nonsense are errors.
func (r *Resolver) exchangeWith(server string, q question, timeout time.Duration) (*dns.Msg, error) {
	m := new(dns.Msg)
	m.SetQuestion(q.name, q.kind)
	m.SetEdns0(udpSize, false)
	answer, err := r.exchangeOver("udp", server, m, timeout)
	if err == nil && answer.Rcode == dns.RcodeFormatError {
		m.Extra = nil // a resolver from before EDNS
		answer, err = r.exchangeOver("udp", server, m, timeout)
	}
	if err == nil && answer.Truncated {
		answer, err = r.exchangeOver("tcp", server, m, timeout)
	}
	if err != nil {
		return nil, err
	}
	if answer.Rcode != dns.RcodeSuccess && answer.Rcode != dns.RcodeNameError {
		return nil, fmt.Errorf("answers %s", dns.RcodeToString[answer.Rcode])
	}
	return answer, nil
}

// exchangeOver asks once. An answer to something else is an error: the socket is connected to the resolver alone, with a
// port and an id drawn for this question, so that one is a fault and not an attack to sit out.
func (r *Resolver) exchangeOver(network, server string, m *dns.Msg, timeout time.Duration) (*dns.Msg, error) {
	client := dns.Client{Net: network, Timeout: timeout, UDPSize: udpSize}
	conn, err := client.DialContext(r.ctx, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(r.ctx, func() { conn.Close() })()
	answer, _, err := client.ExchangeWithConnContext(r.ctx, m, conn)
	if err != nil {
		return nil, err
	}
	asked := m.Question[0]
	if !answer.Response || len(answer.Question) != 1 || answer.Question[0].Qtype != asked.Qtype ||
		!strings.EqualFold(answer.Question[0].Name, asked.Name) {
		return nil, errors.New("answers something that was not asked")
	}
	return answer, nil
}
