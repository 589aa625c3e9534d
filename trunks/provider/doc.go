// Package provider is what we know of the companies that sell trunks: thin clients of the REST APIs of Twilio, Telnyx,
// SignalWire and Vonage behind one small interface, and presets as data with the source and date of each row.
//
// The domain asks it whether credentials are good, which numbers an account has, and whether the set-up over there lets
// calls in to us and out from us. It sends no SIP, stores nothing and logs nothing; no error of it carries a secret.
package provider
