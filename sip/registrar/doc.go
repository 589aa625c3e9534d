// Package registrar keeps where agents are that register on us: the server side of RFC 3261 §10. The edge authenticates a
// REGISTER and gives it to a [Registrar]; a call to the agent asks for its bindings. It reads messages and changes none, sends
// nothing, and knows no digest. Whoever wants bindings over UDP to outlive the process asks for what has changed and keeps it.
package registrar
