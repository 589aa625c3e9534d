package peers

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// tone is a minute of it as a WAV file at 8 kHz: baresip's own sine knows 48 kHz only.
func tone(hertz int) []byte {
	const rate = 8000
	samples := make([]int16, 60*rate)
	for i := range samples {
		samples[i] = int16(8000 * math.Sin(2*math.Pi*float64(hertz)*float64(i)/rate))
	}
	return Recording{rate, samples}.wav()
}

// Recording is sound: one channel of samples.
type Recording struct {
	Rate    int // samples per second
	Samples []int16
}

// wav writes it as a WAV file of 16-bit samples.
func (r Recording) wav() []byte {
	b := append([]byte("RIFF"), 0, 0, 0, 0)
	b = append(b, "WAVEfmt "...)
	b = binary.LittleEndian.AppendUint32(b, 16)
	for _, v := range []uint16{1, 1} { // PCM, one channel
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(r.Rate))
	b = binary.LittleEndian.AppendUint32(b, uint32(2*r.Rate))
	for _, v := range []uint16{2, 16} { // octets a frame, bits a sample
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	b = binary.LittleEndian.AppendUint32(append(b, "data"...), uint32(2*len(r.Samples)))
	for _, sample := range r.Samples {
		b = binary.LittleEndian.AppendUint16(b, uint16(sample))
	}
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)-8))
	return b
}

// readWAV reads a WAV file of 16-bit samples that may still be growing, so that the lengths in it mean nothing yet. Of several
// channels it takes the first.
func readWAV(b []byte) (Recording, error) {
	_, format, ok := bytes.Cut(b, []byte("fmt "))
	if !ok || len(format) < 20 {
		return Recording{}, fmt.Errorf("a WAV file of %d bytes without a format", len(b))
	}
	kind, channels, bits := binary.LittleEndian.Uint16(format[4:]), int(binary.LittleEndian.Uint16(format[6:])), binary.LittleEndian.Uint16(format[18:])
	if kind != 1 || bits != 16 || channels == 0 {
		return Recording{}, fmt.Errorf("a WAV file of kind %d with %d bits in %d channels, want 16-bit PCM", kind, bits, channels)
	}
	r := Recording{Rate: int(binary.LittleEndian.Uint32(format[8:]))}
	_, data, ok := bytes.Cut(format, []byte("data"))
	if !ok || len(data) < 4 {
		return r, nil
	}
	for data = data[4:]; len(data) >= 2*channels; data = data[2*channels:] {
		r.Samples = append(r.Samples, int16(binary.LittleEndian.Uint16(data)))
	}
	return r, nil
}

// Length is how long it is.
func (r Recording) Length() time.Duration {
	return time.Duration(len(r.Samples)) * time.Second / time.Duration(max(r.Rate, 1))
}

// After is what comes after so much of it.
func (r Recording) After(d time.Duration) Recording {
	return Recording{r.Rate, r.Samples[min(len(r.Samples), int(d*time.Duration(r.Rate)/time.Second)):]}
}

// Tone is how much of it is a tone of so many hertz and hardly anything else: blocks of 50 ms (Goertzel's algorithm) in which
// the tone has nine tenths of the energy, and which are louder than a whisper.
func (r Recording) Tone(hertz int) (heard time.Duration) {
	const whisper = 300 // RMS of the samples, of 32,767
	block := r.Rate / 20
	w := 2 * math.Cos(2*math.Pi*float64(hertz)/float64(r.Rate))
	for rest := r.Samples; block > 0 && len(rest) >= block; rest = rest[block:] {
		var q1, q2, total float64
		for _, sample := range rest[:block] {
			s := float64(sample)
			total += s * s
			q1, q2 = w*q1-q2+s, q1
		}
		energy := (q1*q1 + q2*q2 - w*q1*q2) * 2 / float64(block)
		if total > whisper*whisper*float64(block) && energy > 0.9*total {
			heard += 50 * time.Millisecond
		}
	}
	return heard
}
