package media

import "time"

// impairment is what a codec costs by itself and under loss: the equipment impairment factor Ie and the packet-loss robustness Bpl.
// ITU-T G.113 appendix I (2007) table I.4 and its amendment for G.722 at 64 kbit/s; with packet loss concealment, as phones have it.
type impairment struct{ ie, bpl float64 }

var impairments = [codecs]impairment{
	codecOther: {0, 25.1}, // as G.711
	codecPCMU:  {0, 25.1},
	codecPCMA:  {0, 25.1},
	codecG722:  {0, 25.1},
	codecG729:  {11, 19},
	codecOpus:  {0, 25.1},
	codecEvent: {0, 25.1},
}

// MOS estimates the listening quality of what the party sent, as it reached us: 1 (bad) to 4.5, by the reduced E-model of ITU-T
// G.107. There is no jitter buffer here, so that it measures the network and not an ear: jitter counts as the delay of a buffer that would
// take it up, loss is taken as random. 0 when too little came to say anything.
func (f *Flow) MOS() float64 {
	if f.Packets < mosPackets {
		return 0
	}
	c := impairments[labelOf([]byte(f.Codec))]
	loss := 100 * f.LossRatio()
	r := 93.2 - delayImpairment(f.RoundTrip/2+2*f.Jitter) - (c.ie + (95-c.ie)*loss/(loss+c.bpl))
	return opinion(r)
}

// mosPackets is a second of speech at 20 ms.
const mosPackets = 50

// LossRatio is the share of the party's packets that did not reach us, 0 to 1.
func (f *Flow) LossRatio() float64 {
	if f.Lost == 0 {
		return 0
	}
	return float64(f.Lost) / float64(f.Lost+f.Packets)
}

// delayImpairment is the factor Id of a one-way delay: little below 177 ms, steep above. Cole and Rosenbluth's fit of G.107.
func delayImpairment(oneWay time.Duration) float64 {
	ms := float64(oneWay) / float64(time.Millisecond)
	id := 0.024 * ms
	if ms > 177.3 {
		id += 0.11 * (ms - 177.3)
	}
	return id
}

// opinion maps a rating factor R to a mean opinion score. ITU-T G.107 annex B.
func opinion(r float64) float64 {
	switch {
	case r <= 0:
		return 1
	case r >= 100:
		return 4.5
	}
	return max(1, 1+0.035*r+r*(r-60)*(100-r)*7e-6)
}
