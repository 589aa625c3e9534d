package wire

// Method is a SIP method known to the edge. Methods are case-sensitive (RFC 3261 §8.2.1).
type Method uint8

// The methods, and Unknown for any other token.
const (
	Unknown Method = iota
	INVITE
	ACK
	BYE
	CANCEL
	OPTIONS
	REGISTER
	PRACK
	UPDATE
	INFO
	REFER
	NOTIFY
	SUBSCRIBE
	MESSAGE
	PUBLISH
)

var methodNames = [...]string{
	"UNKNOWN", "INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "PRACK",
	"UPDATE", "INFO", "REFER", "NOTIFY", "SUBSCRIBE", "MESSAGE", "PUBLISH",
}

// String returns the method's name as it is sent, and "UNKNOWN" for Unknown.
func (m Method) String() string {
	if int(m) >= len(methodNames) {
		return methodNames[Unknown]
	}
	return methodNames[m]
}

// ParseMethod returns the method with exactly this name, or Unknown.
func ParseMethod(name []byte) Method {
	switch string(name) {
	case "INVITE":
		return INVITE
	case "ACK":
		return ACK
	case "BYE":
		return BYE
	case "CANCEL":
		return CANCEL
	case "OPTIONS":
		return OPTIONS
	case "REGISTER":
		return REGISTER
	case "PRACK":
		return PRACK
	case "UPDATE":
		return UPDATE
	case "INFO":
		return INFO
	case "REFER":
		return REFER
	case "NOTIFY":
		return NOTIFY
	case "SUBSCRIBE":
		return SUBSCRIBE
	case "MESSAGE":
		return MESSAGE
	case "PUBLISH":
		return PUBLISH
	}
	return Unknown
}
