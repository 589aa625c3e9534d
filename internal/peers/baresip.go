package peers

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Baresip is baresip as an agent or a customer of a carrier, with real audio: it plays a tone and records what it hears.
// Listen is required; over TLS baresip listens one port higher.
type Baresip struct {
	Listen    netip.AddrPort
	Transport string // "udp", "tcp" or "tls"; empty: udp
	User      string // empty: "app"
	Domain    string // of its address; empty: that of Listen
	Proxy     string // outbound proxy, host:port; empty: requests go where their URI says
	Password  string
	Register  bool       // with the domain, by digest
	Hertz     int        // tone it plays; zero: 400
	Codecs    string     // as "PCMA/8000/1"; empty: PCMU, then PCMA
	Authority *Authority // signs its certificate, and is trusted; nil: no TLS
}

// Phone is a baresip that runs.
type Phone struct {
	*Process

	t       testing.TB
	dir     string // where it records
	control net.Conn

	mu     sync.Mutex
	events []string // types of the events seen, as CALL_ESTABLISHED, oldest first
}

// Start starts it and returns when it can be commanded.
func (b Baresip) Start(t testing.TB) *Phone {
	t.Helper()
	Need(t, "baresip")
	dir := t.TempDir()
	control := FreePort(t, b.Listen.Addr().String())
	p := &Phone{t: t, dir: dir}
	files := map[string]string{"config": b.config(t, dir, control), "accounts": b.account(), "contacts": "", "tone.wav": string(tone(orElse(b.Hertz, 400)))}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.Process = Start(t, Spec{Name: "baresip", Args: []string{"baresip", "-4", "-f", dir, "-v", "-s"}, Dir: dir})
	p.WaitFor(10*time.Second, "its control port is open", func() bool {
		c, err := net.Dial("tcp", control.String())
		p.control = c
		return err == nil
	})
	t.Cleanup(func() { p.control.Close() })
	go p.listen() // ends when the control connection is closed
	return p
}

// modules is where Debian and upstream put them.
func modules(t testing.TB) string {
	for _, pattern := range []string{"/usr/lib/baresip/modules", "/usr/lib/*/baresip/modules", "/usr/local/lib/baresip/modules"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return found[0]
		}
	}
	t.Fatal("baresip is installed without modules")
	return ""
}

func (b Baresip) config(t testing.TB, dir string, control netip.AddrPort) string {
	media := FreePort(t, b.Listen.Addr().String()).Port() &^ 1
	return fmt.Sprintf(`poll_method epoll
sip_listen %[1]s
call_local_timeout 120
call_max_calls 8
net_interface %[8]s
audio_source aufile,%[2]s
audio_player aubridge,sink
audio_alert aubridge,alert
snd_path %[3]s
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
rtp_ports %[4]d-%[5]d
jitter_buffer_delay 1-3
module_path %[6]s
module g711.so
module aufile.so
module aubridge.so
module sndfile.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen %[7]s
ring_aufile none
ringback_aufile none
%[9]s`, b.Listen, filepath.Join(dir, "tone.wav"), dir, media, media+40, modules(t), control, b.Listen.Addr(), b.security(t, dir))
}

// security is what TLS needs. Certificate and key stand in one file.
func (b Baresip) security(t testing.TB, dir string) string {
	t.Helper()
	if b.Authority == nil {
		return ""
	}
	var both []byte
	certificate, key := b.Authority.Issue(b.Listen.Addr().String())
	for _, file := range []string{certificate, key} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, text...)
	}
	file := filepath.Join(dir, "identity.pem")
	if err := os.WriteFile(file, both, 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("sip_certificate %s\nsip_cafile %s\n", file, b.Authority.File)
}

// tone is a minute of it as a WAV file: baresip's own sine knows 48 kHz only.
func tone(hertz int) []byte {
	const rate, samples = 8000, 60 * 8000
	b := append([]byte("RIFF"), 0, 0, 0, 0)
	b = append(b, "WAVEfmt "...)
	b = binary.LittleEndian.AppendUint32(b, 16)
	for _, v := range []uint16{1, 1} { // PCM, one channel
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	b = binary.LittleEndian.AppendUint32(b, rate)
	b = binary.LittleEndian.AppendUint32(b, 2*rate)
	for _, v := range []uint16{2, 16} { // octets a frame, bits a sample
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	b = binary.LittleEndian.AppendUint32(append(b, "data"...), 2*samples)
	for i := range samples {
		b = binary.LittleEndian.AppendUint16(b, uint16(int16(8000*math.Sin(2*math.Pi*float64(hertz)*float64(i)/rate))))
	}
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)-8))
	return b
}

func (b Baresip) account() string {
	user, domain, transport := b.User, b.Domain, b.Transport
	if user == "" {
		user = "app"
	}
	if domain == "" {
		domain = b.Listen.String()
	}
	if transport == "" {
		transport = "udp"
	}
	codecs := b.Codecs
	if codecs == "" {
		codecs = "PCMU/8000/1,PCMA/8000/1"
	}
	line := fmt.Sprintf("<sip:%s@%s;transport=%s>;answermode=auto;audio_codecs=%s;ptime=20", user, domain, transport, codecs)
	if b.Password != "" {
		line += ";auth_user=" + user + ";auth_pass=" + b.Password
	}
	if b.Proxy != "" {
		line += fmt.Sprintf(`;outbound="sip:%s;transport=%s"`, b.Proxy, transport)
	}
	if b.Register {
		return line + ";regint=60\n"
	}
	return line + ";regint=0\n"
}

// Dial makes it call a number or URI.
func (p *Phone) Dial(to string) { p.command("dial", to) }

// HangUp ends its call.
func (p *Phone) HangUp() { p.command("hangup", "") }

// Heard reports whether the recording of its last call is, for the greater part, a tone of so many hertz.
func (p *Phone) Heard(hertz int) bool {
	p.t.Helper()
	files, _ := filepath.Glob(filepath.Join(p.dir, "dump-*-dec.wav")) // the pattern is well formed
	if len(files) == 0 {
		return false
	}
	slices.Sort(files)
	b, err := os.ReadFile(files[len(files)-1])
	if err != nil {
		p.t.Errorf("baresip's recording: %v", err)
		return false
	}
	_, b, ok := bytes.Cut(b, []byte("data"))
	if !ok || len(b) < 4+2*8000/4 {
		return false // less than a quarter of a second
	}
	return purity(b[4:], hertz) > 0.5
}

// purity is the share that one frequency has of the energy of 16-bit samples at 8 kHz (Goertzel, blocks of 50 ms).
func purity(pcm []byte, hertz int) float64 {
	const block = 400
	w := 2 * math.Cos(2*math.Pi*float64(hertz)/8000)
	var tone, total float64
	for len(pcm) >= 2*block {
		var q1, q2 float64
		for i := range block {
			sample := float64(int16(binary.LittleEndian.Uint16(pcm[2*i:])))
			total += sample * sample
			q0 := w*q1 - q2 + sample
			q1, q2 = q0, q1
		}
		tone += (q1*q1 + q2*q2 - w*q1*q2) * 2 / block
		pcm = pcm[2*block:]
	}
	if total == 0 {
		return 0
	}
	return tone / total
}

// command sends a command as a netstring of JSON, the ctrl_tcp module's format.
func (p *Phone) command(name, params string) {
	p.t.Helper()
	b, err := json.Marshal(map[string]string{"command": name, "params": params, "token": name})
	if err == nil {
		_, err = fmt.Fprintf(p.control, "%d:%s,", len(b), b)
	}
	if err != nil {
		p.t.Errorf("baresip: %s: %v", name, err)
	}
}

// listen takes events until the connection ends.
func (p *Phone) listen() {
	r := bufio.NewReader(p.control)
	for {
		length, err := r.ReadString(':')
		if err != nil {
			return
		}
		n, err := strconv.Atoi(strings.TrimSuffix(length, ":"))
		if err != nil || n < 0 || n > 1<<20 {
			return
		}
		b := make([]byte, n+1) // and the comma
		if _, err := io.ReadFull(r, b); err != nil {
			return
		}
		var event struct {
			Event bool
			Type  string
		}
		if json.Unmarshal(b[:n], &event) == nil && event.Event {
			p.mu.Lock()
			p.events = append(p.events, event.Type)
			p.mu.Unlock()
		}
	}
}

// Saw reports whether an event of a type was seen: REGISTER_OK, CALL_INCOMING, CALL_ESTABLISHED, CALL_CLOSED …
func (p *Phone) Saw(event string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Contains(p.events, event)
}

// WaitForEvent waits until an event of a type was seen, at least once since the start.
func (p *Phone) WaitForEvent(limit time.Duration, event string) {
	p.t.Helper()
	p.WaitFor(limit, event, func() bool { return p.Saw(event) })
}
