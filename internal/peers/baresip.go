package peers

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Baresip is baresip as an agent or a customer of a carrier, with real audio: it plays a tone and writes what it hears to a file.
// Listen is required.
type Baresip struct {
	Listen    netip.AddrPort
	Transport string // "udp" or "tcp"; empty: udp
	User      string // empty: "app"
	Domain    string // of its address; empty: that of Listen
	Proxy     string // outbound proxy, host:port; empty: requests go where their URI says
	Password  string
	Register  bool // with the domain, by digest
	Hertz     int  // tone it plays; zero: 400
}

// Phone is a baresip that runs.
type Phone struct {
	*Process
	Recording string // WAV file of what it heard, complete after the call

	t       testing.TB
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
	p := &Phone{t: t, Recording: filepath.Join(dir, "heard.wav")}
	files := map[string]string{"config": b.config(t, dir, control, p.Recording), "accounts": b.account(), "contacts": ""}
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

func (b Baresip) config(t testing.TB, dir string, control netip.AddrPort, recording string) string {
	hertz := orElse(b.Hertz, 400)
	media := FreePort(t, b.Listen.Addr().String()).Port() &^ 1
	return fmt.Sprintf(`poll_method epoll
sip_listen %[1]s
call_local_timeout 120
call_max_calls 8
audio_source ausine,%[2]d
audio_player aufile,%[3]s
audio_alert aufile,%[4]s
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
rtp_ports %[5]d-%[6]d
jitter_buffer_delay 1-3
module_path %[7]s
module g711.so
module ausine.so
module aufile.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen %[8]s
ring_aufile none
ringback_aufile none
`, b.Listen, hertz, recording, filepath.Join(dir, "alert.wav"), media, media+40, modules(t), control)
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
	line := fmt.Sprintf("<sip:%s@%s;transport=%s>;answermode=auto;audio_codecs=PCMU/8000/1,PCMA/8000/1;ptime=20", user, domain, transport)
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
	for _, e := range p.events {
		if e == event {
			return true
		}
	}
	return false
}

// WaitForEvent waits until an event of a type was seen, at least once since the start.
func (p *Phone) WaitForEvent(limit time.Duration, event string) {
	p.t.Helper()
	p.WaitFor(limit, event, func() bool { return p.Saw(event) })
}
