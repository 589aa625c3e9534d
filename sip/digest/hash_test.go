package digest

import "testing"

func TestResponseVectors(t *testing.T) {
	const (
		nonce  = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
		cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
	)
	for _, test := range []struct {
		name                      string
		algorithm                 Algorithm
		username, realm, password string
		nonce, cnonce, nc, qop    string
		method, uri               string
		want                      string
	}{
		{"RFC 2617 §3.5", MD5, "Mufasa", "testrealm@host.com", "Circle Of Life",
			"dcd98b7102dd2f0e8b11d0f600bfb0c093", "0a4f113b", "00000001", "auth", "GET", "/dir/index.html",
			"6629fae49393a05397450978507c4ef1"},
		{"RFC 2069 §2.4 as corrected by erratum 749", MD5, "Mufasa", "testrealm@host.com", "CircleOfLife",
			"dcd98b7102dd2f0e8b11d0f600bfb0c093", "", "", "", "GET", "/dir/index.html",
			"1949323746fe6a43ef61f9606e7febea"},
		{"RFC 7616 §3.9.1 MD5", MD5, "Mufasa", "http-auth@example.org", "Circle of Life",
			nonce, cnonce, "00000001", "auth", "GET", "/dir/index.html",
			"8ca523f5e9506fed4657c9700eebdbec"},
		{"RFC 7616 §3.9.1 SHA-256", SHA256, "Mufasa", "http-auth@example.org", "Circle of Life",
			nonce, cnonce, "00000001", "auth", "GET", "/dir/index.html",
			"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"},
		// The figures in the RFC are of SHA-512 cut short; erratum 4897 has the right ones.
		{"RFC 7616 §3.9.2 SHA-512-256 as corrected by erratum 4897", SHA512256, "J\u00e4s\u00f8n Doe", "api@example.org", "Secret, or not?",
			"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v", "00000001", "auth", "GET", "/doe.json",
			"3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"},
		// Computed with openssl from the formula of RFC 7616 §3.4.2.
		{"MD5-sess", MD5Sess, "bob", "biloxi.example.com", "zanzibar",
			"dcd98b7102dd2f0e8b11d0f600bfb0c093", "0a4f113b", "00000001", "auth", "INVITE", "sip:bob@biloxi.example.com",
			"6cd0cf072b432d52a4a77f23849a0e4b"},
		{"SHA-256-sess", SHA256Sess, "bob", "biloxi.example.com", "zanzibar",
			"dcd98b7102dd2f0e8b11d0f600bfb0c093", "0a4f113b", "00000001", "auth", "INVITE", "sip:bob@biloxi.example.com",
			"989c59a9d2e78eba01b2a3bfb19be08e22adb5d229579775dbdf5f5ab4fa980c"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := proof{
				algorithm: test.algorithm,
				secret:    AppendSecret(nil, test.algorithm, test.username, test.realm, test.password),
				nonce:     []byte(test.nonce), cnonce: []byte(test.cnonce), nc: []byte(test.nc), qop: test.qop,
				method: test.method, uri: []byte(test.uri),
			}
			if got, _ := p.appendResponse(nil, nil); string(got) != test.want {
				t.Errorf("response %s, want %s", got, test.want)
			}
		})
	}
}

func TestAlgorithmNames(t *testing.T) {
	for a := range numAlgorithms {
		if got, ok := algorithmNamed([]byte(a.String())); !ok || got != a {
			t.Errorf("%v is read as %v", a, got)
		}
	}
	if a, ok := algorithmNamed(nil); !ok || a != MD5 {
		t.Error("no algorithm is not MD5 (RFC 7616 §3.3)")
	}
	for _, name := range []string{"AKAv1-MD5", "SHA-512", "md5 "} {
		if _, ok := algorithmNamed([]byte(name)); ok {
			t.Errorf("%q is supported", name)
		}
	}
	if numAlgorithms.String() != "?" {
		t.Error("an unknown algorithm has a name")
	}
}
