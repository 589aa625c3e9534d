package rewrite

import (
	"bytes"
	"strings"

	"trunkline/sip/wire"
)

// Lists are the headers that an operator wants to cross to one side beyond the usual ones, and those that are not to
// cross. What is denied does not cross, allowed or not. The zero Lists changes nothing.
type Lists struct{ allow, deny names }

// NewLists takes header names in any case, long or compact, each with a '*' at its end for all that begin so.
func NewLists(allow, deny []string) Lists { return Lists{newNames(allow), newNames(deny)} }

// crosses reports whether a header crosses that usually does, or does not.
func (l *Lists) crosses(h *wire.Header, usually bool) bool {
	if l.deny.has(h) {
		return false
	}
	return usually || l.allow.has(h)
}

// names is a set of header names.
type names struct {
	known    [2]uint64 // by wire.ID
	others   []string  // in lower case
	prefixes []string  // in lower case
}

func newNames(list []string) (n names) {
	for _, name := range list {
		if prefix, ok := strings.CutSuffix(name, "*"); ok {
			n.prefixes = append(n.prefixes, strings.ToLower(prefix))
			continue
		}
		if id := wire.LookupHeader([]byte(name)); id != wire.HOther {
			n.known[id/64] |= 1 << (id % 64)
			continue
		}
		n.others = append(n.others, strings.ToLower(name))
	}
	return n
}

func (n *names) has(h *wire.Header) bool {
	if h.ID != wire.HOther && n.known[h.ID/64]&(1<<(h.ID%64)) != 0 {
		return true
	}
	if len(n.others)+len(n.prefixes) == 0 {
		return false
	}
	name := canonical(h)
	for _, other := range n.others {
		if strings.EqualFold(name, other) {
			return true
		}
	}
	for _, prefix := range n.prefixes {
		if len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) {
			return true
		}
	}
	return false
}

// written are the headers that the edge writes itself, or that belong to one leg: no list makes them cross.
func written(id wire.ID) bool {
	switch id {
	case wire.HVia, wire.HFrom, wire.HTo, wire.HCallID, wire.HCSeq, wire.HContact, wire.HMaxForwards, wire.HContentLength, wire.HContentType,
		wire.HRecordRoute, wire.HRoute, wire.HPath, wire.HServiceRoute, wire.HRequire, wire.HProxyRequire, wire.HSupported, wire.HUnsupported,
		wire.HAllow, wire.HAccept, wire.HAcceptEncoding, wire.HAcceptLanguage, wire.HAllowEvents, wire.HMinExpires,
		wire.HAuthorization, wire.HProxyAuthorization, wire.HWWWAuthenticate, wire.HProxyAuthenticate, wire.HAuthenticationInfo,
		wire.HPAssertedIdentity, wire.HPPreferredIdentity, wire.HRemotePartyID, wire.HUserAgent, wire.HServer,
		wire.HSessionExpires, wire.HMinSE, wire.HRSeq, wire.HRAck, wire.HReplaces, wire.HJoin, wire.HTargetDialog,
		wire.HReferTo, wire.HReferSub, wire.HEvent, wire.HSubscriptionState, wire.HSIPETag, wire.HSIPIfMatch:
		return true
	}
	return false
}

var geolocationPrefix = []byte("geolocation-")

// aboutPlace: Geolocation-Routing and Geolocation-Error (RFC 6442 §4), beside Geolocation itself.
func aboutPlace(h *wire.Header) bool {
	return h.ID == wire.HOther && len(h.Name) > len(geolocationPrefix) && bytes.EqualFold(h.Name[:len(geolocationPrefix)], geolocationPrefix)
}
