// Package admit answers one question: may this request come in? Its rules are
// pure functions from a message to a Rejection or nil; the tables behind them
// (who is known at which address) belong to package trunks.
//
// A Rejection says what the peer hears and, apart from it, what we count and
// log. Package sip turns it into a response, in one place.
package admit
