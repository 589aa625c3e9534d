// Package resolve turns a SIP host into places to send to (RFC 3263): NAPTR, then SRV, then A and AAAA, with what is
// missing skipped. It keeps answers as long as their TTL says, in a bounded cache, and the last good one for as long as no
// resolver answers; and it remembers which targets have failed lately.
//
// cmd calls it when a configuration is loaded and as answers run out, and hands the result to package trunks; nothing on
// the call path waits for DNS. It never decides where a call goes, and reads no SIP message.
package resolve
