package wire

// ID says which header a line is, whatever its case and whether its name is compact.
type ID uint8

// The headers the edge can name. HOther is any header outside this list; its Name tells which.
const (
	HOther ID = iota
	HVia
	HFrom
	HTo
	HCallID
	HCSeq
	HContact
	HMaxForwards
	HContentLength
	HContentType
	HRecordRoute
	HRoute
	HRequire
	HProxyRequire
	HSupported
	HUnsupported
	HAllow
	HAccept
	HExpires
	HMinExpires
	HAuthorization
	HProxyAuthorization
	HWWWAuthenticate
	HProxyAuthenticate
	HAuthenticationInfo
	HRetryAfter
	HReason
	HWarning
	HUserAgent
	HServer
	HPAssertedIdentity
	HPPreferredIdentity
	HPrivacy
	HDiversion
	HHistoryInfo
	HIdentity
	HDate
	HSessionExpires
	HMinSE
	HRSeq
	HRAck
	HReferTo
	HReferredBy
	HReplaces
	HEvent
	HSubscriptionState
	HAlertInfo
	HCallInfo
	HSubject
	HContentDisposition
	HContentEncoding
	HContentLanguage
	HMIMEVersion
	HPath
	HServiceRoute
	HPCalledPartyID
	HSessionID
	HUserToUser
	HTimestamp
	HAllowEvents
	HAcceptEncoding
	HAcceptLanguage
	HAcceptContact
	HRejectContact
	HRequestDisposition
	HErrorInfo
	HInReplyTo
	HOrganization
	HPriority
	HReplyTo
	HJoin
	HTargetDialog
	HIdentityInfo
	HGeolocation
	HPAccessNetworkInfo
	HPChargingVector
	HSecurityClient
	HSecurityServer
	HSecurityVerify
	HSIPETag
	HSIPIfMatch
	HReferSub
	HRecvInfo
	HInfoPackage
	HFeatureCaps
	HRemotePartyID
	HAnswerMode
	HPEarlyMedia
	HResourcePriority
	HMaxBreadth

	numIDs
)

// headerNames holds the long name of every ID in the RFC's spelling, and its compact form (0: none).
var headerNames = [numIDs]struct {
	name    string
	compact byte
}{
	HVia:                {"Via", 'v'},
	HFrom:               {"From", 'f'},
	HTo:                 {"To", 't'},
	HCallID:             {"Call-ID", 'i'},
	HCSeq:               {"CSeq", 0},
	HContact:            {"Contact", 'm'},
	HMaxForwards:        {"Max-Forwards", 0},
	HContentLength:      {"Content-Length", 'l'},
	HContentType:        {"Content-Type", 'c'},
	HRecordRoute:        {"Record-Route", 0},
	HRoute:              {"Route", 0},
	HRequire:            {"Require", 0},
	HProxyRequire:       {"Proxy-Require", 0},
	HSupported:          {"Supported", 'k'},
	HUnsupported:        {"Unsupported", 0},
	HAllow:              {"Allow", 0},
	HAccept:             {"Accept", 0},
	HExpires:            {"Expires", 0},
	HMinExpires:         {"Min-Expires", 0},
	HAuthorization:      {"Authorization", 0},
	HProxyAuthorization: {"Proxy-Authorization", 0},
	HWWWAuthenticate:    {"WWW-Authenticate", 0},
	HProxyAuthenticate:  {"Proxy-Authenticate", 0},
	HAuthenticationInfo: {"Authentication-Info", 0},
	HRetryAfter:         {"Retry-After", 0},
	HReason:             {"Reason", 0},
	HWarning:            {"Warning", 0},
	HUserAgent:          {"User-Agent", 0},
	HServer:             {"Server", 0},
	HPAssertedIdentity:  {"P-Asserted-Identity", 0},
	HPPreferredIdentity: {"P-Preferred-Identity", 0},
	HPrivacy:            {"Privacy", 0},
	HDiversion:          {"Diversion", 0},
	HHistoryInfo:        {"History-Info", 0},
	HIdentity:           {"Identity", 'y'},
	HDate:               {"Date", 0},
	HSessionExpires:     {"Session-Expires", 'x'},
	HMinSE:              {"Min-SE", 0},
	HRSeq:               {"RSeq", 0},
	HRAck:               {"RAck", 0},
	HReferTo:            {"Refer-To", 'r'},
	HReferredBy:         {"Referred-By", 'b'},
	HReplaces:           {"Replaces", 0},
	HEvent:              {"Event", 'o'},
	HSubscriptionState:  {"Subscription-State", 0},
	HAlertInfo:          {"Alert-Info", 0},
	HCallInfo:           {"Call-Info", 0},
	HSubject:            {"Subject", 's'},
	HContentDisposition: {"Content-Disposition", 0},
	HContentEncoding:    {"Content-Encoding", 'e'},
	HContentLanguage:    {"Content-Language", 0},
	HMIMEVersion:        {"MIME-Version", 0},
	HPath:               {"Path", 0},
	HServiceRoute:       {"Service-Route", 0},
	HPCalledPartyID:     {"P-Called-Party-ID", 0},
	HSessionID:          {"Session-ID", 0},
	HUserToUser:         {"User-to-User", 0},
	HTimestamp:          {"Timestamp", 0},
	HAllowEvents:        {"Allow-Events", 'u'},
	HAcceptEncoding:     {"Accept-Encoding", 0},
	HAcceptLanguage:     {"Accept-Language", 0},
	HAcceptContact:      {"Accept-Contact", 'a'},
	HRejectContact:      {"Reject-Contact", 'j'},
	HRequestDisposition: {"Request-Disposition", 'd'},
	HErrorInfo:          {"Error-Info", 0},
	HInReplyTo:          {"In-Reply-To", 0},
	HOrganization:       {"Organization", 0},
	HPriority:           {"Priority", 0},
	HReplyTo:            {"Reply-To", 0},
	HJoin:               {"Join", 0},
	HTargetDialog:       {"Target-Dialog", 0},
	HIdentityInfo:       {"Identity-Info", 'n'},
	HGeolocation:        {"Geolocation", 0},
	HPAccessNetworkInfo: {"P-Access-Network-Info", 0},
	HPChargingVector:    {"P-Charging-Vector", 0},
	HSecurityClient:     {"Security-Client", 0},
	HSecurityServer:     {"Security-Server", 0},
	HSecurityVerify:     {"Security-Verify", 0},
	HSIPETag:            {"SIP-ETag", 0},
	HSIPIfMatch:         {"SIP-If-Match", 0},
	HReferSub:           {"Refer-Sub", 0},
	HRecvInfo:           {"Recv-Info", 0},
	HInfoPackage:        {"Info-Package", 0},
	HFeatureCaps:        {"Feature-Caps", 0},
	HRemotePartyID:      {"Remote-Party-ID", 0},
	HAnswerMode:         {"Answer-Mode", 0},
	HPEarlyMedia:        {"P-Early-Media", 0},
	HResourcePriority:   {"Resource-Priority", 0},
	HMaxBreadth:         {"Max-Breadth", 0},
}

// String returns the header's long name as the RFCs spell it, and "" for HOther.
func (id ID) String() string {
	if id >= numIDs {
		return ""
	}
	return headerNames[id].name
}
