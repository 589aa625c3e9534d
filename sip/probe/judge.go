package probe

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"trunkline/sip"
	"trunkline/sip/transport"
)

// judgement is what a verdict depends on beside the outcome itself.
type judgement struct {
	user    bool   // there are credentials
	realm   string // that challenges must be for; empty: any
	options int    // status that OPTIONS got; 0: silence
	seenAs  string
	caller  string // number shown as caller; empty: none
}

// judgeOptions: whatever answers is there. Silence leaves it open; a closed port
// does not.
func judgeOptions(o outcome, f transport.Flow) finding {
	at := fmt.Sprintf("%s over %s", f.Remote, strings.ToLower(f.Proto.String()))
	switch {
	case errors.Is(o.err, errInterrupted):
		return leavesOpen(Interrupted, "%v", o.err)
	case o.err != nil:
		found := judgeSilence(o, at)
		found.verdict = Inconclusive
		return found
	case o.challenged:
		return passes("%s answers: %d %s; it asks for credentials", at, o.code, o.reason)
	}
	return passes("%s answers: %d %s", at, o.code, o.reason)
}

// judgeSilence is about requests that got no final response.
func judgeSilence(o outcome, at string) finding {
	if at == "" {
		at = "the server"
	}
	switch {
	case errors.Is(o.err, errInterrupted):
		return leavesOpen(Interrupted, "%v", o.err)
	case errors.Is(o.err, errNoWay):
		return fails(NoListener, "%v", o.err)
	case errors.Is(o.err, errSilence), errors.Is(o.err, sip.ErrSilent):
		return fails(NoResponse, "%s does not answer", at)
	case errors.Is(o.err, syscall.ECONNREFUSED), o.err.Error() == "transport_error":
		return fails(PortClosed, "%s takes no requests: nothing listens there", at)
	}
	return fails(ConnectionFailed, "%s cannot be reached: %v", at, o.err)
}

// judgeRegister is about a REGISTER.
func judgeRegister(o outcome, v judgement) finding {
	switch {
	case o.err != nil:
		return judgeSilence(o, "the registrar")
	case o.code < 300 && v.user && !o.challenged:
		return leavesOpen(NotChallenged, "%d %s without asking for credentials", o.code, o.reason)
	case o.code < 300:
		return passes("%d %s: the registrar takes the credentials", o.code, o.reason)
	case o.known:
		return told(o)
	case o.code == 401 || o.code == 407:
		return unanswered(o, v)
	case o.code == 404 || o.code == 604:
		return fails(UnknownUser, "the registrar knows no such user: %d %s", o.code, o.reason)
	case o.code == 403 && o.answered: // how many registrars refuse a password
		return fails(WrongPassword, "the registrar refuses the credentials: %d %s", o.code, o.reason)
	case o.code == 403:
		return notListed(o, v)
	case o.code == 400 && o.answered:
		return fails(ContactRequired, "the registrar does not answer a question for bindings: %d %s", o.code, o.reason)
	}
	return refused(o)
}

// judgeCall is about an INVITE to a number.
func judgeCall(o outcome, v judgement) finding {
	switch {
	case errors.Is(o.err, errNoEnd) && o.rang:
		return passes("the carrier takes the call up; it was given up at once, and the carrier did not confirm that")
	case errors.Is(o.err, errNoEnd):
		return leavesOpen(NoResponse, "the carrier has the call (100 Trying), but neither rang nor refused it in time; it was given up")
	case o.err != nil:
		return judgeSilence(o, "the carrier")
	case o.code < 300:
		return passes("the call was answered at once (%d %s) and ended with a BYE; it may be charged", o.code, o.reason)
	case o.rang && o.code >= 400, o.code == 487, o.code == 486, o.code == 600:
		return passes("the carrier takes the call up (%d %s); nothing was charged", o.code, o.reason)
	case o.code == 480 && (!o.known || Cause(o.meaning.Cause) == NotRegistered):
		return passes("the carrier takes the call up (%d %s); nothing was charged", o.code, o.reason)
	case o.known:
		return told(o)
	case o.code == 401 || o.code == 407:
		return unanswered(o, v)
	case o.code == 403 && !o.answered && (v.user && !o.challenged || v.options == 403):
		return notListed(o, v)
	case o.code == 403 && o.answered:
		return fails(Forbidden, "the carrier refuses the call behind its challenge: %d %s", o.code, o.reason)
	case o.code == 404, o.code == 484, o.code == 604, o.code == 410, o.code == 416, o.code == 485:
		return fails(NumberNotFound, "the carrier cannot route the number: %d %s", o.code, o.reason)
	case o.code == 488, o.code == 415, o.code == 606:
		return fails(MediaRefused, "the carrier takes none of the codecs offered: %d %s", o.code, o.reason)
	}
	return refused(o)
}

// judgeNobody is about an INVITE to a number that nobody has: whatever follows the
// challenge, except one more refusal of the credentials, proves them.
func judgeNobody(o outcome, v judgement) finding {
	f := judgeCall(o, v)
	switch {
	case f.verdict == Pass && v.user && !o.challenged:
		return leavesOpen(NotChallenged, "the carrier takes a call without asking for credentials: %d %s", o.code, o.reason)
	case f.verdict == Pass:
		return passes("the carrier takes the credentials: behind the challenge it says %d %s to a call that nobody can answer", o.code, o.reason)
	case o.answered && o.err == nil && behindChallenge(f.code):
		return passes("the carrier takes the credentials: behind the challenge it says %d %s to a number that does not exist", o.code, o.reason)
	case f.code == Forbidden && o.answered:
		f.verdict = Inconclusive
	}
	return f
}

// behindChallenge reports causes that a carrier gives only to callers it knows.
func behindChallenge(c Cause) bool {
	switch c {
	case NumberNotFound, NoRoute, CPSExceeded, ChannelLimit, NoCredit, CallerIDRefused, DestinationNotAllowed, MediaRefused, Unavailable, SecureRequired:
		return true
	}
	return false
}

// told is a refusal that the carrier's tables know.
func told(o outcome) finding {
	said := fmt.Sprintf("%d %s", o.code, o.reason)
	if o.meaning.Code != "" && !strings.Contains(o.reason, o.meaning.Code) {
		said += ", " + o.meaning.Code
	}
	f := fails(Cause(o.meaning.Cause), "%s (%s)", o.meaning.Means, said)
	f.fix = o.meaning.Fix
	return f
}

// unanswered is a 401 or 407 that stands: it could not be answered, or the answer
// was refused.
func unanswered(o outcome, v judgement) finding {
	c := challengeCause(o.challenge)
	switch c {
	case MissingCredentials:
		return fails(c, "the carrier asks for credentials of realm %q, and the trunk has none", o.realm)
	case WrongRealm:
		return fails(c, "the carrier asks for credentials of realm %q; the trunk answers for %q only", o.realm, v.realm)
	case NonceLoop:
		return fails(c, "the carrier calls every nonce stale, those it has just given too")
	case UnsupportedDigest:
		return fails(c, "the carrier's challenge cannot be answered: %v", o.challenge)
	}
	return fails(c, "the carrier refuses the user name or the password: it answers them with %d %s once more", o.code, o.reason)
}

// notListed is a 403 before any challenge.
func notListed(o outcome, v judgement) finding {
	f := fails(IPNotAllowed, "the carrier refuses this host without asking for credentials: %d %s", o.code, o.reason)
	if v.seenAs != "" {
		f.message += "; it sees us as " + v.seenAs
		address, _, err := net.SplitHostPort(v.seenAs)
		if err != nil {
			address = v.seenAs
		}
		f.fix = "have " + address + " added to the carrier's list of addresses"
	}
	return f
}

// refused is any refusal that tells no more than its status.
func refused(o outcome) finding {
	said := fmt.Sprintf("%d %s", o.code, o.reason)
	switch {
	case o.code == 403:
		return fails(Forbidden, "the carrier refuses: %s", said)
	case o.code == 503 && o.retryAfter:
		return fails(CPSExceeded, "the carrier is asked too often, and says when to come again: %s", said)
	case o.code == 503:
		return fails(Unavailable, "the carrier does not serve at the moment: %s", said)
	case o.code >= 500 && o.code < 600:
		return fails(ServerError, "the carrier fails: %s", said)
	}
	return fails(Refused, "the carrier refuses: %s", said)
}
