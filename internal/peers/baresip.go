package peers

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
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
	Answer    string     // "auto", "early" for a 183 with media before the 200, or "manual"; empty: auto
	Mute      bool       // it sends no RTP at all
	Secure    bool       // it offers SRTP with keys in the description, and takes nothing else
	Authority *Authority // signs its certificate, and is trusted; nil: no TLS
	In        *Namespace // the network it runs in; nil: the test's own
}

// Phone is a baresip that runs.
type Phone struct {
	*Process

	t       testing.TB
	dir     string // where it records
	control net.Conn

	mu     sync.Mutex
	events []string // types of the events seen, as CALL_ESTABLISHED, oldest first
	keys   string   // that it has heard as telephone-events
}

// Start starts it and returns when it can be commanded.
func (b Baresip) Start(t testing.TB) *Phone {
	t.Helper()
	Need(t, "baresip")
	dir := t.TempDir()
	control := FreePort(t, EdgeHost)
	p := &Phone{t: t, dir: dir}
	files := map[string]string{"config": b.config(t, dir, control), "accounts": b.account(), "contacts": "", "tone.wav": string(tone(orElse(b.Hertz, 400)))}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	onlyDecoded(t, dir)
	p.Process = Start(t, Spec{Name: "baresip", Args: []string{"baresip", "-4", "-f", dir, "-v", "-s"}, Dir: dir, Env: []string{"TZ=UTC"}, In: b.In})
	p.WaitFor(10*time.Second, "its control port is open", func() bool {
		c, err := b.In.Dial(t.Context(), "tcp", control.String())
		p.control = c
		return err == nil
	})
	t.Cleanup(func() { p.control.Close() })
	go p.take() // ends when the control connection is closed
	return p
}

// onlyDecoded keeps baresip from recording what it sends. Debian's takes its recorders off when it is put on hold and sets up new
// ones only where none is left, and the one of what it sends would be. Folders stand where those files would be made.
func onlyDecoded(t testing.TB, dir string) {
	t.Helper()
	for second, end := time.Now(), time.Now().Add(phoneLife); second.Before(end); second = second.Add(time.Second) {
		if err := os.Mkdir(filepath.Join(dir, second.UTC().Format("dump-2006-01-02-15-04-05-enc.wav")), 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

// phoneLife is longer than any test needs a phone.
const phoneLife = 3 * time.Minute

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
	media := phoneMedia()
	source := "aufile," + filepath.Join(dir, "tone.wav")
	if b.Mute {
		source = "aubridge,nothing" // a bridge that nobody feeds
	}
	return fmt.Sprintf(`poll_method epoll
sip_listen %[1]s
call_local_timeout 120
call_max_calls 8
net_interface %[8]s
audio_source %[2]s
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
module opus.so
module srtp.so
module aufile.so
module aubridge.so
module sndfile.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen %[7]s
ring_aufile none
ringback_aufile none
%[9]s`, b.Listen, source, dir, media, media+phonePorts-1, modules(t), control, b.Listen.Addr(), b.security(t, dir))
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
	line := fmt.Sprintf("<sip:%s@%s;transport=%s>;answermode=%s;audio_codecs=%s;ptime=20", user, domain, transport, cmp.Or(b.Answer, "auto"), codecs)
	if b.Secure {
		line += ";mediaenc=srtp-mand"
	}
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

// Accept answers the call that rings.
func (p *Phone) Accept() { p.command("accept", "") }

// Hold puts its call on hold, Resume takes it up again.
func (p *Phone) Hold()   { p.command("hold", "") }
func (p *Phone) Resume() { p.command("resume", "") }

// Reinvite offers the other party of its call the same once more.
func (p *Phone) Reinvite() { p.command("reinvite", "") }

// Press plays a key to the other party of its call, as a telephone-event.
func (p *Phone) Press(key string) { p.command("sndcode", key) }

// Keys are those that others have played to it, oldest first.
func (p *Phone) Keys() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keys
}

// Transfer asks the other party of its call to call somebody else: a REFER.
func (p *Phone) Transfer(to string) { p.command("transfer", to) }

// Switch makes its nth call, from 1, the one that commands are about.
func (p *Phone) Switch(call int) { p.command("line", strconv.Itoa(call)) }

// Dialog is a dialog as one of its parties names it.
type Dialog struct{ CallID, LocalTag, RemoteTag string }

// Dialed returns the dialog of its answered call to a number, as its trace has it.
func (p *Phone) Dialed(number string) (d Dialog) {
	p.t.Helper()
	answer := regexp.MustCompile(`(?s)SIP/2\.0 200 .*?\r\n\r\n`)
	for _, message := range answer.FindAllString(p.Log(), -1) {
		if !strings.Contains(message, " INVITE\r\n") || !strings.Contains(message, "To: <sip:"+number+"@") {
			continue
		}
		d = Dialog{headerOf(message, "Call-ID"), tagOf(headerOf(message, "From")), tagOf(headerOf(message, "To"))}
	}
	if d.CallID == "" || d.LocalTag == "" || d.RemoteTag == "" {
		p.t.Fatalf("no answered call to %s in baresip's trace: %+v", number, d)
	}
	return d
}

// headerOf is the value of a header that a message has once.
func headerOf(message, name string) string {
	_, rest, _ := strings.Cut(message, "\r\n"+name+": ")
	value, _, _ := strings.Cut(rest, "\r\n")
	return value
}

func tagOf(address string) string {
	_, rest, _ := strings.Cut(address, ";tag=")
	tag, _, _ := strings.Cut(rest, ";")
	return tag
}

// Recording is what it has heard so far in all its calls, one after the other. Nothing stands in it for time without packets.
func (p *Phone) Recording() Recording {
	p.t.Helper()
	files, _ := filepath.Glob(filepath.Join(p.dir, "dump-*-dec.wav")) // the pattern is well formed
	slices.Sort(files)                                                // their names are times
	all := Recording{Rate: 8000}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			p.t.Errorf("baresip's recording: %v", err)
			continue
		}
		if r, err := readWAV(b); err == nil { // a file that has just been made has no header yet
			all.Rate, all.Samples = r.Rate, append(all.Samples, r.Samples...)
		}
	}
	return all
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

// take takes events until the connection ends.
func (p *Phone) take() {
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
			Param string
		}
		if json.Unmarshal(b[:n], &event) == nil && event.Event {
			p.mu.Lock()
			p.events = append(p.events, event.Type)
			if event.Type == "CALL_DTMF_START" {
				p.keys += event.Param
			}
			p.mu.Unlock()
		}
	}
}

// Count returns how many events of a type were seen: REGISTER_OK, CALL_INCOMING, CALL_ESTABLISHED, CALL_CLOSED …
func (p *Phone) Count(event string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, seen := range p.events {
		if seen == event {
			n++
		}
	}
	return n
}

// Saw reports whether an event of a type was seen.
func (p *Phone) Saw(event string) bool { return p.Count(event) > 0 }

// WaitForEvent waits until an event of a type was seen, at least once since the start.
func (p *Phone) WaitForEvent(limit time.Duration, event string) {
	p.t.Helper()
	p.WaitFor(limit, event, func() bool { return p.Saw(event) })
}
