package trunks

import (
	"bytes"
	"testing"

	"trunkline/config"
)

func TestNormalize(t *testing.T) {
	germany := Plan{CountryCode: "49", NationalPrefix: "0"}
	germanyNational := Plan{Format: config.FormatNational, CountryCode: "49", NationalPrefix: "0"}
	america := Plan{CountryCode: "1", NationalPrefix: "1"}
	americaDigits := Plan{Format: config.FormatDigits, CountryCode: "1", NationalPrefix: "1"}
	kazakhDigits := Plan{Format: config.FormatDigits, CountryCode: "7", NationalPrefix: "8"}
	spain := Plan{Format: config.FormatNational, CountryCode: "34"}
	for _, test := range []struct {
		name       string
		plan       Plan
		user, want string
	}{
		{"E.164", Plan{}, "+15550001234", "+15550001234"},
		{"without plus", Plan{}, "15550001234", "+15550001234"},
		{"after 00", Plan{}, "0015550001234", "+15550001234"},
		{"visual separators", Plan{}, "+1 (555) 000-12.34", "+15550001234"},
		{"escapes", Plan{}, "%2B1%35550001234", "+15550001234"},
		{"an escaped semicolon is part of the user", Plan{}, "+15550001234%3Bx", "+15550001234%3Bx"},
		{"parameters", Plan{}, "+15550001234;ext=5;phone-context=+1", "+15550001234"},
		{"a password's colon is no digit", Plan{}, "+15550001234:secret", "+15550001234:secret"},
		{"a name", Plan{}, "alice;x=y", "alice"},
		{"anonymous", Plan{}, "anonymous", "anonymous"},
		{"empty", Plan{}, "", ""},
		{"only parameters", Plan{}, ";a=b", ""},
		{"plus alone", Plan{}, "+", "+"},
		{"two pluses", Plan{}, "++15550001234", "++15550001234"},
		{"plus in the middle", Plan{}, "1+5550001234", "1+5550001234"},
		{"half an escape", Plan{}, "+1555000%2", "+1555000%2"},
		{"a wrong escape", Plan{}, "+1555000%ZZ", "+1555000%ZZ"},
		{"an emergency call", germany, "112", "112"},
		{"an emergency call in North America", america, "911", "911"},
		{"too long", Plan{}, "+1234567890123456", "+1234567890123456"},
		{"plus and zero", Plan{}, "+0305550001", "+0305550001"},
		{"national without a plan", Plan{}, "0305550001", "0305550001"},
		{"national", germany, "030 5550001", "+49305550001"},
		{"international from Germany", germany, "0015550001234", "+15550001234"},
		{"international without plus from Germany", germany, "15550001234", "+15550001234"},
		{"national without prefix", germanyNational, "305550001", "+49305550001"},
		{"national in Spain, which has no prefix", spain, "911234567", "+34911234567"},
		{"ten digits in North America", america, "5550001234", "+15550001234"},
		{"eleven digits in North America", america, "15550001234", "+15550001234"},
		{"international from North America", america, "0114930123456", "+4930123456"},
		{"digits are international", americaDigits, "4930123456", "+4930123456"},
		{"digits that begin with a national prefix are international", kazakhDigits, "81312345678", "+81312345678"},
		{"national prefix alone", Plan{CountryCode: "1", NationalPrefix: "1555"}, "1555", "1555"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := string(test.plan.Normalize([]byte(test.user), []byte("kept"))); got != "kept"+test.want {
				t.Errorf("got %q, want %q", got, "kept"+test.want)
			}
		})
	}
}

func TestAppend(t *testing.T) {
	for _, test := range []struct {
		name         string
		plan         Plan
		number, want string
	}{
		{"zero plan", Plan{}, "+15550001234", "+15550001234"},
		{"E.164", Plan{Format: config.FormatE164}, "+15550001234", "+15550001234"},
		{"digits", Plan{Format: config.FormatDigits}, "+15550001234", "15550001234"},
		{"national at home", Plan{Format: config.FormatNational, CountryCode: "49", NationalPrefix: "0"}, "+49305550001", "0305550001"},
		{"national abroad", Plan{Format: config.FormatNational, CountryCode: "49", NationalPrefix: "0"}, "+15550001234", "+15550001234"},
		{"a service code", Plan{Format: config.FormatDigits}, "112", "112"},
		{"a name", Plan{Format: config.FormatNational, CountryCode: "49"}, "alice", "alice"},
		{"plus and letters", Plan{Format: config.FormatDigits}, "+1555a", "+1555a"},
		{"the country code alone", Plan{Format: config.FormatNational, CountryCode: "49", NationalPrefix: "0"}, "+49", "+49"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := string(test.plan.Append([]byte("kept"), []byte(test.number))); got != "kept"+test.want {
				t.Errorf("got %q, want %q", got, "kept"+test.want)
			}
		})
	}
}

// FuzzNormalize: a number comes out with plus and up to 15 digits or not at all, what is normalized stays so, what a
// carrier of digits is sent reads back the same, and nobody's buffer changes.
func FuzzNormalize(f *testing.F) {
	for _, user := range []string{"+15550001234", "0015550001234", "+1 (555) 000-1234;ext=5", "%2B1555", "alice", "030 5550001", "112", "011", "+", "00", "%"} {
		f.Add([]byte(user), "49", "0", uint8(0))
		f.Add([]byte(user), "1", "1", uint8(2))
	}
	formats := []config.NumberFormat{"", config.FormatE164, config.FormatDigits, config.FormatNational}
	f.Fuzz(func(t *testing.T, user []byte, code, prefix string, format uint8) {
		p := Plan{Format: formats[int(format)%len(formats)], CountryCode: code, NationalPrefix: prefix}
		if !onlyDigits(code) || !onlyDigits(prefix) || len(code) > 3 || len(prefix) > 4 || code != "" && code[0] == '0' {
			p.CountryCode, p.NationalPrefix = "", ""
		}
		before := bytes.Clone(user)
		got := p.Normalize(user, nil)
		if !bytes.Equal(user, before) {
			t.Fatalf("%q became %q", before, user)
		}
		if bytes.ContainsRune(got, ';') {
			t.Fatalf("%q keeps parameters: %q", user, got)
		}
		digits, isNumber := bytes.CutPrefix(got, []byte("+"))
		if !isNumber || !onlyDigits(string(digits)) || len(digits) == 0 || len(digits) > longest || digits[0] == '0' {
			return
		}
		if again := p.Normalize(got, nil); !bytes.Equal(again, got) {
			t.Fatalf("%q → %q → %q", user, got, again)
		}
		if len(digits) < shortest {
			return
		}
		carrier := Plan{Format: config.FormatDigits}
		if back := carrier.Normalize(carrier.Append(nil, got), nil); !bytes.Equal(back, got) {
			t.Fatalf("%q is sent as %q and read as %q", got, carrier.Append(nil, got), back)
		}
	})
}

func onlyDigits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

func BenchmarkNormalize(b *testing.B) {
	p := Plan{CountryCode: "49", NationalPrefix: "0"}
	user := []byte("030 5550001;phone-context=+49")
	buf := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		buf = p.Normalize(user, buf[:0])
	}
}

// IDN-02, IDN-06: numbers as a carrier writes them and back, with what stands behind them.
func TestWriteAndRead(t *testing.T) {
	national := Plan{Format: config.FormatNational, CountryCode: "49", NationalPrefix: "0"}
	digits := Plan{Format: config.FormatDigits}
	for _, test := range []struct {
		name               string
		plan               Plan
		ours, theirs, back string
	}{
		{"as it came, byte for byte", Plan{}, "+1-415;npdi", "+1-415;npdi", ""},
		{"national", national, "+4930123456", "030123456", "+4930123456"},
		{"of another country", national, "+14155550100", "+14155550100", "+14155550100"},
		{"digits", digits, "+14155550100", "14155550100", "+14155550100"},
		{"ported", digits, "+1-415-555-0100;npdi;rn=+14155550000", "14155550100;npdi;rn=+14155550000", "+14155550100;npdi;rn=+14155550000"},
		{"a service code", national, "112", "112", "112"},
		{"no number", national, "alice;x=y", "alice;x=y", "alice;x=y"},
	} {
		t.Run(test.name, func(t *testing.T) {
			theirs := test.plan.Write([]byte("7"), []byte(test.ours))
			if string(theirs) != "7"+test.theirs {
				t.Errorf("writes %s, want 7%s", theirs, test.theirs)
			}
			if got := test.plan.Read(nil, theirs[1:]); test.back != "" && string(got) != test.back {
				t.Errorf("reads %s, want %s", got, test.back)
			}
		})
	}
}
