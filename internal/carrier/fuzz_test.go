package carrier

import "testing"

// FuzzReadAudio: whatever a peer describes, what is usable can be sent to.
func FuzzReadAudio(f *testing.F) {
	f.Add([]byte("v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 8 0\r\na=sendonly\r\n"))
	f.Add([]byte("m=audio 99999 RTP/AVP 0\nc=IN IP6 ::\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if a := readAudio(b); a.usable && (!a.at.IsValid() || a.at.Port() == 0 || a.codec != 0 && a.codec != 8) {
			t.Errorf("%+v", a)
		}
	})
}
