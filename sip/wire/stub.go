package wire

import (
	"github.com/emiago/sipgo/sip"
)

func (m *Message) SipgoRequest() (*sip.Request, error)   { return nil, nil }
func (m *Message) SipgoResponse() (*sip.Response, error) { return nil, nil }
