// Package providerfake plays the REST APIs of Twilio, Telnyx, SignalWire and Vonage on loopback, for tests and the demo.
//
// Each fake answers as the provider's documentation says and is strict about what it takes: an unknown path, method, query
// parameter, header or body is refused and remembered in Refused, so that a test of a client can ask for silence there.
// Fail makes it misbehave: refuse, overload, stall, cut off, talk nonsense. A fake opens no socket of its own accord: Listen
// serves one on loopback, Transport without any socket, inside a synctest bubble if need be.
package providerfake
