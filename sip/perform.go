package sip

import (
	"time"

	"trunkline/sip/call"
)

// perform does one action of the machine. The message it refers to as at hand is
// s.in.
func (c *session) perform(now time.Time, a call.Action) {
	switch a.Kind {
	case call.RespondCaller:
		c.respondCaller(now, a)
	case call.RespondKept:
		c.respondKept(now)
	case call.InviteCallee:
		c.inviteCallee(now, a)
	case call.CancelCallee:
		c.cancelCallee(now, a)
	case call.AckCallee:
		c.ackCallee(now, a)
	case call.Prack:
		c.prack(now, a)
	case call.Bye:
		c.bye(now, a)
	case call.Respond:
		c.respond(now, a)
	case call.Relay:
		c.relay(now, a)
	case call.Play:
		c.playDigit(now, a)
	case call.RelayResponse:
		c.relayResponse(now, a)
	case call.Reinvite:
		c.sendReinvite(now, a)
	case call.Update:
		c.sendUpdate(now, a)
	case call.RespondReinvite:
		c.respondReinvite(now, a)
	case call.AckReinvite:
		c.ackReinvite(now, a)
	case call.CancelReinvite:
		c.cancelReinvite(now, a)
	case call.Transfer:
		c.startTransfer(now)
	case call.Notify:
		c.notify(now, a)
	case call.DropTarget:
		c.dropTarget(0)
	case call.TakeContacts:
		c.takeContacts()
	case call.CloseMedia:
		c.closeMedia()
	case call.Ignore:
		c.shard.count.ignored++
	case call.Finish:
		c.finish(now)
	}
}
