package trunks

// Route is where one call goes. Trunk and Agent are its two sides: an inbound call comes from Trunk and goes to Agent,
// an outbound call the other way.
type Route struct {
	Trunk  *Trunk
	Agent  *Agent
	Number *Number // the called number of an inbound call, the caller's of an outbound one
}

// Inbound routes a call that came from t to the number called, the raw user part of Request-URI or To. The number may
// belong to another trunk that shares a source with t, and Route.Trunk is then that one. It does not allocate unless it refuses.
func (s *Snapshot) Inbound(t *Trunk, called []byte) (Route, *Refusal) { return Route{}, nil }

// Outbound routes a call that came from a with the caller identity caller, a raw user part: it must be a number that a
// may use, and the number's trunk carries the call. called is the raw user part of the number dialled, for the
// explanation only. It does not allocate unless it refuses.
func (s *Snapshot) Outbound(a *Agent, caller, called []byte) (Route, *Refusal) { return Route{}, nil }
