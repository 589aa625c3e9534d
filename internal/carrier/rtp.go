package carrier

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"
)

// MediaStats is what one party sent and heard.
type MediaStats struct {
	Sent, Received uint64
	Lost           uint64        // gaps in the sequence numbers received
	Jitter         time.Duration // RFC 3550 §6.4.1
	Hertz          int           // the tone heard: 400 is a Carrier, 620 an App; 0: none
}

const (
	frame      = 20 * time.Millisecond
	frameSize  = 160 // samples and octets of G.711
	sampleRate = 8000
)

// stream is one party's RTP: a socket that plays a tone or sends back what it hears.
type stream struct {
	conn *net.UDPConn
	hz   int // tone played; 0: echo

	mu       sync.Mutex
	remote   netip.AddrPort
	codec    byte
	sending  bool
	stats    MediaStats
	energy   [2]float64 // by tone
	last     uint16     // sequence number
	started  bool
	transit  float64 // seconds
	jitter   float64
	sequence uint16
	clock    uint32
	ssrc     uint32
	phase    int
	stop     chan struct{}
	ended    sync.WaitGroup
	once     sync.Once
}

// newStream opens an even port at host.
func newStream(host netip.Addr, hz int) (*stream, error) {
	for range 100 {
		conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(host, 0)))
		if err != nil {
			return nil, err
		}
		if conn.LocalAddr().(*net.UDPAddr).Port%2 != 0 {
			conn.Close()
			continue
		}
		s := &stream{conn: conn, hz: hz, ssrc: rand.Uint32(), sequence: uint16(rand.Uint32()), clock: rand.Uint32(), stop: make(chan struct{})}
		s.ended.Go(s.receive) // ends when the socket is closed
		s.ended.Go(s.play)    // ends with stop
		return s, nil
	}
	return nil, errors.New("no even UDP port is free")
}

func (s *stream) addr() netip.AddrPort {
	a := s.conn.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// aim sets where to send, from a description of the other side.
func (s *stream) aim(a audio) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remote, s.codec, s.sending = a.at, byte(a.codec), a.usable && a.wants
}

func (s *stream) close() {
	s.once.Do(func() { close(s.stop); s.conn.Close() })
	s.ended.Wait()
}

func (s *stream) snapshot() MediaStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats
	stats.Jitter = time.Duration(s.jitter * float64(time.Second))
	best, total := 0, 0.0
	for i, e := range s.energy {
		total += e
		if e > s.energy[best] {
			best = i
		}
	}
	if total > 0 && s.energy[best] > total/2 {
		stats.Hertz = tones[best]
	}
	return stats
}

// play sends a frame every 20 ms.
func (s *stream) play() {
	if s.hz == 0 {
		return
	}
	ticker := time.NewTicker(frame)
	defer ticker.Stop()
	packet := make([]byte, 12+frameSize)
	for {
		select {
		case <-s.stop:
			return
		case <-ticker.C:
			s.mu.Lock()
			to, sending, codec := s.remote, s.sending, s.codec
			for i := range frameSize {
				sample := int16(8000 * math.Sin(2*math.Pi*float64(s.hz)*float64(s.phase)/sampleRate))
				packet[12+i] = encode(codec, sample)
				s.phase = (s.phase + 1) % sampleRate
			}
			s.header(packet, codec)
			if sending {
				s.stats.Sent++
			}
			s.mu.Unlock()
			if sending {
				_, _ = s.conn.WriteToUDPAddrPort(packet, to) // a party that is gone is seen in the other's statistics
			}
		}
	}
}

// header fills in RFC 3550 §5.1.
func (s *stream) header(packet []byte, codec byte) {
	packet[0], packet[1] = 0x80, codec
	binary.BigEndian.PutUint16(packet[2:], s.sequence)
	binary.BigEndian.PutUint32(packet[4:], s.clock)
	binary.BigEndian.PutUint32(packet[8:], s.ssrc)
	s.sequence++
	s.clock += frameSize
}

func (s *stream) receive() {
	buffer := make([]byte, 2048)
	for {
		n, _, err := s.conn.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		packet := buffer[:n]
		if n < 12 || packet[0]>>6 != 2 || packet[1]&0x7f > 34 && packet[1]&0x7f < 96 {
			continue
		}
		if echo, to := s.heard(packet); echo {
			_, _ = s.conn.WriteToUDPAddrPort(packet, to)
		}
	}
}

// heard keeps the books and says where to echo the packet, changed in place to be our own.
func (s *stream) heard(packet []byte) (echo bool, to netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sequence, clock := binary.BigEndian.Uint16(packet[2:]), binary.BigEndian.Uint32(packet[4:])
	s.stats.Received++
	transit := float64(time.Now().UnixNano())/1e9 - float64(clock)/sampleRate
	if s.started {
		if gap := sequence - s.last; gap > 1 && gap < 1<<15 {
			s.stats.Lost += uint64(gap - 1)
		}
		if d := math.Abs(transit - s.transit); d < 1 {
			s.jitter += (d - s.jitter) / 16
		}
	}
	s.started, s.last, s.transit = true, sequence, transit
	if codec := packet[1] & 0x7f; codec == 0 || codec == 8 {
		s.listen(codec, packet[12:])
	}
	if s.hz != 0 || !s.sending {
		return false, netip.AddrPort{}
	}
	s.header(packet, packet[1])
	s.stats.Sent++
	return true, s.remote
}

// listen adds the energy of each known tone (Goertzel).
func (s *stream) listen(codec byte, payload []byte) {
	for i, hz := range tones {
		w := 2 * math.Cos(2*math.Pi*float64(hz)/sampleRate)
		var q1, q2 float64
		for _, octet := range payload {
			q0 := w*q1 - q2 + float64(decode(codec, octet))
			q1, q2 = q0, q1
		}
		s.energy[i] += q1*q1 + q2*q2 - w*q1*q2
	}
}

// encode is G.711 (RFC 3551 §4.5.14).
func encode(codec byte, sample int16) byte {
	if codec == 8 {
		return encodeA(sample)
	}
	const bias = 0x84
	sign, magnitude := byte(0), int(sample)
	if magnitude < 0 {
		sign, magnitude = 0x80, -magnitude
	}
	magnitude = min(magnitude, 32635) + bias
	exponent := 7
	for mask := 0x4000; exponent > 0 && magnitude&mask == 0; mask >>= 1 {
		exponent--
	}
	return ^(sign | byte(exponent)<<4 | byte(magnitude>>(exponent+3))&0x0f)
}

func encodeA(sample int16) byte {
	sign, magnitude := byte(0x80), int(sample)
	if magnitude < 0 {
		sign, magnitude = 0, -magnitude-1
	}
	magnitude = min(magnitude, 32767)
	exponent := 7
	for mask := 0x4000; exponent > 0 && magnitude&mask == 0; mask >>= 1 {
		exponent--
	}
	mantissa := magnitude >> 4 & 0x0f
	if exponent > 0 {
		mantissa = magnitude >> (exponent + 3) & 0x0f
	}
	return (sign | byte(exponent)<<4 | byte(mantissa)) ^ 0x55
}

func decode(codec, octet byte) int16 {
	if codec == 8 {
		octet ^= 0x55
		exponent, value := octet>>4&7, int(octet&0x0f)<<4+8
		if exponent > 0 {
			value = (value + 0x100) << (exponent - 1)
		}
		if octet&0x80 == 0 {
			value = -value
		}
		return int16(value)
	}
	octet = ^octet
	value := (int(octet&0x0f)<<3+0x84)<<(octet>>4&7) - 0x84
	if octet&0x80 != 0 {
		value = -value
	}
	return int16(value)
}
