// Package wire turns bytes into SIP messages and messages into bytes.
//
// It owns the border: nothing malformed or ambiguous gets past [Message.Parse], so the packages above
// may copy a header value to the other leg without looking at it again. Three depths of reading exist,
// each paid for only when it is needed:
//
//   - [Scan] finds the fields that identify a transaction and a dialog. It is tolerant and costs about
//     a tenth of a microsecond; absorption of retransmissions and shard dispatch use it.
//   - [Message.Parse] indexes every header over the given bytes and checks the message strictly. It does
//     not copy and, once its header table has grown, does not allocate.
//   - [Message.SipgoRequest] and [Message.SipgoResponse] give sipgo's types, for rules and people that
//     want the whole message as objects. They parse again and allocate; they are not for the call path.
//
// Writing is by appending: every Append function adds to the given slice and returns it.
// [Framer] cuts a TCP or TLS stream into messages and keep-alives.
//
// The package decides nothing about a call and knows no sockets. Everything in it belongs to one
// goroutine at a time; there is no shared state.
package wire
