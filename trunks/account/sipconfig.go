package account

// SIPConfig is how a connection's trunk is reached. Absent fields come from the provider's preset; each optional, but for
// manual one of Server and Domain.
type SIPConfig struct {
	Server          *string   `json:"server,omitempty"`           // host or address, optional port; RFC 3263 without
	Domain          *string   `json:"domain,omitempty"`           // host in From, To, Request-URI; expected realm
	Transport       *string   `json:"transport,omitempty"`        // udp, tcp, tls
	Register        *bool     `json:"register,omitempty"`         //
	SourceAddresses *[]string `json:"source_addresses,omitempty"` // addresses, networks, host names its calls come from
	NumberFormat    *string   `json:"number_format,omitempty"`    // e164_plus, e164, national
	Country         *string   `json:"country,omitempty"`          // ISO 3166 code of two letters or country code in digits, for national
	CPSLimit        *float64  `json:"cps_limit,omitempty"`        // calls per second, above 0
	CPSKey          *string   `json:"cps_key,omitempty"`          // up to 255 characters; shared within the organization
	MaxCalls        *int      `json:"max_calls,omitempty"`        // calls at once, above 0
	TestNumber      *string   `json:"test_number,omitempty"`      // +E.164, an own number
	TestDestination *string   `json:"test_destination,omitempty"` // +E.164 or SIP URI
}
