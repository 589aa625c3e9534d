package peers

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Linphone is linphonec as an agent or a customer of a carrier, with real audio: it plays a tone and records what it hears. Listen is
// required.
type Linphone struct {
	Listen    netip.AddrPort // over UDP and TCP; over TLS it takes calls on the connections that it opened alone
	Transport string         // "udp", "tcp" or "tls"; empty: udp
	User      string         // empty: "app"
	Proxy     string         // where its requests go, host:port
	AuthUser  string         // digest; empty: User
	Password  string
	Register  bool
	Hertz     int           // tone it plays; zero: 400
	Answer    string        // "auto", "early" for a 183 with media before the 200, or "manual"; empty: auto
	Secure    bool          // it offers SRTP with keys in the description, and takes nothing else
	Interval  time.Duration // session interval it asks for; 0: none
	Authority *Authority    // is trusted; nil: no TLS
}

// RunningLinphone is a linphonec that runs.
type RunningLinphone struct {
	*Process
	t   testing.TB
	dir string
}

// Start starts it and returns when it can be commanded.
func (l Linphone) Start(t testing.TB) *RunningLinphone {
	t.Helper()
	Need(t, "linphonec")
	dir := t.TempDir()
	for name, text := range map[string]string{"linphonerc": l.config(t), "tone.wav": string(tone(orElse(l.Hertz, 400)))} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"linphonec", "-c", "linphonerc", "-d", "6", "-l", "linphone.log", "--real-early-media"}
	if cmp.Or(l.Answer, "auto") == "auto" {
		args = append(args, "-a")
	}
	p := &RunningLinphone{t: t, dir: dir, Process: Start(t, Spec{Name: "linphonec", Args: args, Dir: dir, Env: []string{"HOME=" + dir, "TERM=dumb"}})}
	p.Type("soundcard use files\nplay tone.wav\nrecord heard.wav\nipv6 disable\n")
	p.WaitForLog(10*time.Second, "ipv6 use disabled")
	return p
}

// config is its settings. It asks the system for nothing: no sound card, no database, no look at the network beyond loopback.
func (l Linphone) config(t testing.TB) string {
	transport := cmp.Or(l.Transport, "udp")
	user, host := cmp.Or(l.User, "app"), l.Listen.Addr()
	var text strings.Builder
	port := map[string]int{"udp": 0, "tcp": 0, "tls": 0} // 0: that transport is not used
	port[transport] = int(l.Listen.Port())
	if transport == "tls" {
		port[transport] = -1 // it takes calls on the connections that it opened alone; any port will do
	}
	fmt.Fprintf(&text, "[sip]\nsip_port=%d\nsip_tcp_port=%d\nsip_tls_port=%d\nbind_address=%s\n", port["udp"], port["tcp"], port["tls"], host)
	fmt.Fprintf(&text, "contact=sip:%s@%s\nguess_hostname=0\nuse_ipv6=0\nauto_net_state_mon=0\nregister_only_when_network_is_up=0\ndefault_proxy=0\n", user, l.Listen)
	encryption := "none"
	if l.Secure {
		encryption = "srtp"
		text.WriteString("media_encryption_mandatory=1\n")
	}
	fmt.Fprintf(&text, "media_encryption=%s\n", encryption)
	if l.Interval > 0 {
		fmt.Fprintf(&text, "session_expires_enabled=1\nsession_expires_value=%[1]d\nsession_expires_min_value=%[1]d\n", int(l.Interval.Seconds()))
	}
	fmt.Fprintf(&text, "incoming_calls_early_media=%d\n", map[bool]int{true: 1}[l.Answer == "early"])
	if l.Authority != nil { // its TLS library knows only names in certificates, no addresses
		fmt.Fprintf(&text, "root_ca=%s\nverify_server_certs=1\nverify_server_cn=0\n", l.Authority.File)
	}
	fmt.Fprintf(&text, "[proxy_0]\nreg_proxy=<sip:%[1]s;transport=%[2]s>\nreg_route=<sip:%[1]s;transport=%[2]s;lr>\nreg_identity=sip:%[3]s@%[4]s\n",
		l.Proxy, transport, user, hostOf(l.Proxy))
	fmt.Fprintf(&text, "reg_sendregister=%d\nreg_expires=60\npublish=0\n", map[bool]int{true: 1}[l.Register])
	if l.Password != "" {
		fmt.Fprintf(&text, "[auth_info_0]\nusername=%s\nuserid=%s\npasswd=%s\n", user, cmp.Or(l.AuthUser, user), l.Password)
	}
	fmt.Fprintf(&text, "[rtp]\naudio_rtp_port=%d\nbind_address=%s\n", phoneMedia(), host)
	text.WriteString("[storage]\nuri=null\n[video]\nenabled=0\n[sound]\nremote_ring=\nlocal_ring=\n")
	for i, codec := range []struct {
		name           string
		rate, channels int
		enabled        int
	}{{"PCMU", 8000, 1, 1}, {"PCMA", 8000, 1, 1}, {"opus", 48000, 2, 0}, {"speex", 16000, 1, 0}, {"speex", 8000, 1, 0}, {"G729", 8000, 1, 0}} {
		fmt.Fprintf(&text, "[audio_codec_%d]\nmime=%s\nrate=%d\nchannels=%d\nenabled=%d\n", i, codec.name, codec.rate, codec.channels, codec.enabled)
	}
	return text.String()
}

// hostOf is the host of host:port.
func hostOf(address string) string {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return address
	}
	return at.Addr().String()
}

// Dial makes it call a number or URI.
func (p *RunningLinphone) Dial(to string) { p.Type("call " + to + "\n") }

// Accept answers the call that rings.
func (p *RunningLinphone) Accept() { p.Type("answer\n") }

// HangUp ends its calls.
func (p *RunningLinphone) HangUp() { p.Type("terminate all\n") }

// Hold puts its call on hold, Resume takes it up again. They return when the other side has agreed: before, linphonec refuses the next
// command.
func (p *RunningLinphone) Hold()   { p.press("pause", " is now paused.\n") }
func (p *RunningLinphone) Resume() { p.press("resume", "Media streams established with ") }

// press types a command and waits until what it leads to is written once more.
func (p *RunningLinphone) press(command, written string) {
	p.t.Helper()
	before := strings.Count(p.Log(), written)
	p.Type(command + "\n")
	p.WaitFor(20*time.Second, command+" is done", func() bool { return strings.Count(p.Log(), written) > before })
}

// Transfer asks the other party of its call to call somebody else: a REFER.
func (p *RunningLinphone) Transfer(to string) { p.Type("transfer " + to + "\n") }

// Send sends a digit as a telephone event.
func (p *RunningLinphone) Send(digit byte) { p.Type(string(digit) + "\n") }

var linphoneDigit = regexp.MustCompile(`Receiving tone (.) from`)

// Digits are the telephone events that it has received.
func (p *RunningLinphone) Digits() (digits string) {
	for _, match := range linphoneDigit.FindAllStringSubmatch(p.Log(), -1) {
		digits += match[1]
	}
	return digits
}

// AnswerMode says what happens to calls from now on: "auto", "early" for a 183 with media first, or "manual".
func (p *RunningLinphone) AnswerMode(mode string) {
	answer, early := "disable", 0
	switch mode {
	case "auto":
		answer = "enable"
	case "early":
		early = 1
	}
	p.Type(fmt.Sprintf("autoanswer %s\nparam sip incoming_calls_early_media %d\n", answer, early))
}

// TransferBetween makes the other parties of two of its calls, numbered from one as they came, talk to each other: a REFER with Replaces.
func (p *RunningLinphone) TransferBetween(call, other int) {
	p.Type(fmt.Sprintf("transfer %d --to-call %d\n", call, other))
}

// Connected and Ended are how many calls were, Rang how many of its own rang at the other side, and Early how many had a description
// before the answer.
func (p *RunningLinphone) Connected() int { return strings.Count(p.Log(), " connected.\n") }
func (p *RunningLinphone) Ended() int {
	log := p.Log()
	return strings.Count(log, " ended (") + strings.Count(log, " error.\n")
}
func (p *RunningLinphone) Rang() int  { return strings.Count(p.Log(), " ringing.\n") + p.Early() }
func (p *RunningLinphone) Early() int { return strings.Count(p.Log(), " early media.\n") }

// Held reports whether the other side has put its call on hold.
func (p *RunningLinphone) Held() bool {
	log := p.Log()
	return strings.LastIndex(log, " has been paused by ") > strings.LastIndex(log, "Media streams established with ")
}

// Offers is how many INVITEs and UPDATEs it has sent and received.
func (p *RunningLinphone) Offers() int {
	log, err := os.ReadFile(filepath.Join(p.dir, "linphone.log"))
	if err != nil {
		p.t.Errorf("linphonec's log: %v", err)
	}
	return len(offering.FindAll(log, -1))
}

// Recording is what it has heard in its last call. While that is up the file has room for its header, and no header: linphonec writes it at
// the end.
func (p *RunningLinphone) Recording() Recording {
	p.t.Helper()
	b, err := os.ReadFile(filepath.Join(p.dir, "heard.wav"))
	if err != nil {
		return Recording{Rate: 8000} // no call yet
	}
	const header = 44 // octets
	r := Recording{Rate: 8000}
	for i := header; i+1 < len(b); i += 2 {
		r.Samples = append(r.Samples, int16(binary.LittleEndian.Uint16(b[i:])))
	}
	return r
}
