package trunks

// Route is where one call goes. Trunk and Agent are its two sides: an inbound call comes from Trunk and goes to Agent,
// an outbound call comes from Agent and goes to one of Number.Routes.
type Route struct {
	Trunk  *Trunk // nil: an outbound call that has not chosen yet
	Agent  *Agent
	Number *Number // the called number of an inbound call, the caller's of an outbound one
}

// Inbound routes a call that came from t to the number called, the raw user part of Request-URI or To. The number may
// belong to another trunk whose sources overlap those of t, and Route.Trunk is then that one. It does not allocate unless it refuses.
func (s *Snapshot) Inbound(t *Trunk, called []byte) (Route, *Refusal) {
	var buf [64]byte
	e164 := t.Plan.Normalize(called, buf[:0])
	n := s.numbers[string(e164)]
	if n == nil || n.Trunk.group != t.group || n.Inbound == nil || !n.Inbound.Reachable() {
		return Route{}, s.refuse(NoRoute, Principal{Trunk: t}, n, called, e164)
	}
	return Route{Trunk: n.Trunk, Agent: n.Inbound, Number: n}, nil
}

// Foreign refuses a call to n that came from where t calls from but n's trunk does not. Trunks whose sources overlap are told
// apart by the number called, and that goes only as far as they overlap: else whoever lists his own address beside a
// carrier's could call the numbers of everybody else at that carrier.
func (s *Snapshot) Foreign(t *Trunk, n *Number, called []byte) *Refusal {
	r := s.refuse(NoRoute, Principal{Trunk: t}, n, called, []byte(n.E164))
	r.foreign = true
	return r
}

// Outbound routes a call that came from a with the caller identity caller, a raw user part: it must be a number that a
// may use, and one of the number's routes carries the call to called, the raw user part dialled. The number may belong to another
// agent whose sources overlap those of a, and Route.Agent is then that one. It does not allocate unless it refuses.
func (s *Snapshot) Outbound(a *Agent, caller, called []byte) (Route, *Refusal) {
	var buf [64]byte
	e164 := Normalize(caller, buf[:0])
	n := s.numbers[string(e164)]
	switch {
	case n == nil || n.Outbound == nil || n.Outbound.group != a.group:
		return Route{}, s.refuse(NumberUnverified, Principal{Agent: a}, n, caller, e164)
	case len(called) == 0:
		return Route{}, s.refuse(NoRoute, Principal{Agent: a}, n, caller, e164)
	}
	return Route{Agent: n.Outbound, Number: n}, nil
}

// refuse keeps copies of user and e164: they belong to the caller.
func (s *Snapshot) refuse(reason Reason, from Principal, n *Number, user, e164 []byte) *Refusal {
	return &Refusal{Reason: reason, Trunk: from.Trunk, Agent: from.Agent, Number: n, User: string(user), E164: string(e164), snapshot: s}
}
