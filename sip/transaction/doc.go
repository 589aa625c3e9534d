// Package transaction runs the client and server transactions of one shard
// (RFC 3261 §17, RFC 6026): it repeats what may have been lost, absorbs what
// arrives twice, acknowledges refusals, carries CANCEL, and reports silence.
//
// The edge's shard owns one [Layer] and calls it from its only goroutine. The
// layer has no locks, no goroutines, no runtime timers and no clock: every call
// takes now, and [Layer.Next] says when [Layer.Advance] is due. Callbacks
// ([User], [ServerUser]) run inside these calls and may call back into the layer.
//
// For each packet the shard calls, in this order:
//
//  1. wire.Scan, then [Layer.Absorb] with the envelope: copies are answered here,
//     before anything is parsed;
//  2. wire.Message.Parse;
//  3. [Layer.ReceiveRequest] or [Layer.ReceiveResponse].
//
// A transaction is an object only while it has something to do. Once it merely
// waits for copies it becomes a record and a few stored bytes in a queue that
// expires in order: an INVITE that was answered and ACKed costs about a hundred
// bytes, an answered BYE those and its response, and memory follows the calls that are up, not the calls of the
// last 32 seconds.
//
// The package never decides what to answer or where to send, knows no dialogs,
// does not send ACK for 2xx (the dialog does), and starts no call twice.
package transaction
