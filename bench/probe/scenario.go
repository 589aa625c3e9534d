//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
)

// writeScenarios writes the carrier that SIPp plays, one for each kind of probe.
func writeScenarios(dir string) error {
	const head = `<?xml version="1.0" encoding="ISO-8859-1" ?><!DOCTYPE scenario SYSTEM "sipp.dtd"><scenario name="carrier">`
	reply := func(status, more string) string {
		return `<send><![CDATA[
SIP/2.0 ` + status + `
[last_Via:]
[last_From:]
[last_To:];tag=[call_number]
[last_Call-ID:]
[last_CSeq:]
` + more + `Content-Length: 0

]]></send>`
	}
	challenge := "WWW-Authenticate: Digest realm=\"carrier.example\", nonce=\"47ebe028cda119c35d4877b383027d28da013815\", algorithm=MD5, qop=\"auth\"\n"
	refusal := strings.Replace(reply("487 Request Terminated", ""), "[last_CSeq:]", "CSeq: 1 INVITE", 1)
	for name, body := range map[string]string{
		"options.xml":  `<recv request="OPTIONS"/>` + reply("200 OK", ""),
		"register.xml": `<recv request="REGISTER"/>` + reply("401 Unauthorized", challenge) + `<recv request="REGISTER"/>` + reply("200 OK", ""),
		"invite.xml": `<recv request="INVITE"/>` + reply("100 Trying", "") + reply("180 Ringing", "Contact: <sip:[local_ip]:[local_port]>\n") +
			`<recv request="CANCEL"/>` + reply("200 OK", "") + refusal + `<recv request="ACK"/>`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(head+body+"</scenario>\n"), 0o644); err != nil {
			return err
		}
	}
	return nil
}
