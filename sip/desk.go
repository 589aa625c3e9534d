package sip

import (
	"time"

	"trunkline/sip/transaction"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

// Desk is one shard as work of ours sees it that belongs to no call and comes in
// thousands: probes. Post may be called from anywhere; everything
// else, and whatever is called back, runs on the shard and must not block.
type Desk struct{ shard *shard }

// Desk returns the desk that key falls to, always the same one.
func (e *Edge) Desk(key uint64) Desk { return Desk{e.shards[key%uint64(len(e.shards))]} }

// Post runs f on the shard soon. After the edge has ended it never does.
func (d Desk) Post(f func(now time.Time)) { d.shard.post(f) }

// Send is Edge.Send on the shard. On error nothing was sent and nothing will be
// called back.
func (d Desk) Send(now time.Time, o Outside) (Sent, error) {
	sent := Sent{shard: d.shard}
	err := d.shard.sendOutside(now, o, &sent)
	return sent, err
}

// Cancel is Sent.Cancel on the shard.
func (d Desk) Cancel(now time.Time, s Sent) { s.client.Cancel(now, nil) }

// Tag appends a tag for requests of this desk. Watch knows their messages by it.
func (d Desk) Tag(b []byte) []byte {
	return appendTag(b, d.shard.random, d.shard.index, maxSlots-1)
}

// Watch has f told of every message that carries the From tag, copies as well:
// requests with their CANCEL and ACK, and what is answered. The bytes are valid
// during the call only. A nil f ends that.
func (d Desk) Watch(tag []byte, f func(Traced)) {
	if f == nil {
		delete(d.shard.watched, string(tag))
		return
	}
	if d.shard.watched == nil {
		d.shard.watched = map[string]func(Traced){}
	}
	d.shard.watched[string(tag)] = f
}

// watch tells whoever watches a message's From tag. It is only called when
// somebody watches at all.
func (s *shard) watch(now time.Time, sent bool, e *wire.Envelope, f transport.Flow, b []byte) {
	if tell := s.watched[string(e.FromTag)]; tell != nil {
		tell(Traced{At: now, Sent: sent, Flow: f, Bytes: b})
	}
}

// Alarm calls Ring on the shard at a time set with Desk.Set. The zero Alarm with a
// Ring is ready; it must not be copied while it is set.
type Alarm struct {
	Ring  func(now time.Time)
	timer transaction.Timer
}

// Set lets a ring at the given time, whether or not it was set before. Alarms are
// up to a tick late.
func (d Desk) Set(a *Alarm, at time.Time) {
	s := d.shard
	if !a.timer.Running() {
		s.nextAlarm++
		a.timer.Owner, a.timer.Kind = s.nextAlarm, alarmTimer
		if s.alarms == nil {
			s.alarms = map[uint64]*Alarm{}
		}
		s.alarms[a.timer.Owner] = a
	}
	s.wheel.Start(&a.timer, at)
}

// Stop keeps a from ringing.
func (d Desk) Stop(a *Alarm) {
	if a.timer.Running() {
		d.shard.wheel.Stop(&a.timer)
		delete(d.shard.alarms, a.timer.Owner)
	}
}

func (s *shard) ring(now time.Time, id uint64) {
	if a := s.alarms[id]; a != nil {
		delete(s.alarms, id)
		a.Ring(now)
	}
}

// Turn asks the limit of the trunk's calls per second for one admission, and calls
// f with true once it may go out: during this call, or later. It calls f with
// false when the turn does not come within wait. The function returned gives the
// place up; f is not called then. A trunk without a limit always has its turn.
//
// It keeps no place in the queue, which is for calls and a second's worth long: it
// comes again when a call that asks now would go out, and whoever waits goes first.
func (d Desk) Turn(now time.Time, t *trunks.Trunk, wait time.Duration, f func(now time.Time, ok bool)) (leave func()) {
	ways := d.shard.edge.ways.Load()
	key := ways.keys[t.Name]
	if t.CPSKey != "" { // a trunk that is not in force falls under the limit of those that are
		key = ways.byName[t.CPSKey]
	}
	if key == nil {
		f(now, true)
		return func() {}
	}
	deadline := now.Add(wait)
	var again Alarm
	again.Ring = func(now time.Time) {
		ticket, ok := key.Admit(now)
		next := key.Expected(now, t.Name)
		switch {
		case ok:
			key.Sent(ticket, now)
			f(now, true)
		case next.After(deadline):
			f(now, false)
		default:
			d.Set(&again, next)
		}
	}
	again.Ring(now)
	return func() { d.Stop(&again) }
}
