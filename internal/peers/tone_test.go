package peers

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// TestToneDetector: a tone is found, and silence, another tone, noise and two tones at once are not taken for it. What the tests with
// real phones say of sound is worth as much as this.
func TestToneDetector(t *testing.T) {
	sine := func(hertz, level float64) func(int) float64 {
		return func(i int) float64 { return level * math.Sin(2*math.Pi*hertz*float64(i)/8000) }
	}
	random := rand.New(rand.NewPCG(1, 2))
	noise := func(int) float64 { return 8000 * (2*random.Float64() - 1) }
	for _, test := range []struct {
		name  string
		sound func(i int) float64
		want  time.Duration
	}{
		{"silence is no tone", func(int) float64 { return 0 }, 0},
		{"a constant is no tone", func(int) float64 { return 8000 }, 0},
		{"another tone is not taken for it", sine(1000, 8000), 0},
		{"a tone a little beside it is not taken for it", sine(480, 8000), 0},
		{"noise is no tone", noise, 0},
		{"two tones at once are neither", func(i int) float64 { return sine(440, 4000)(i) + sine(1000, 4000)(i) }, 0},
		{"comfort noise and a whisper are no tone", sine(440, 200), 0},
		{"the tone is found", sine(440, 8000), time.Second},
		{"the tone is found beside some noise", func(i int) float64 { return sine(440, 8000)(i) + noise(i)/8 }, time.Second},
		{"half a tone is half a tone", func(i int) float64 {
			if i < 4000 {
				return 0
			}
			return sine(440, 8000)(i)
		}, time.Second / 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := Recording{Rate: 8000, Samples: make([]int16, 8000)}
			for i := range r.Samples {
				r.Samples[i] = int16(test.sound(i))
			}
			if got := r.Tone(440); got != test.want {
				t.Errorf("%s of the tone in %s, want %s", got, r.Length(), test.want)
			}
		})
	}
}

// TestRecordingOfAFileThatGrows: what is there of a WAV file counts, whatever its header says.
func TestRecordingOfAFileThatGrows(t *testing.T) {
	whole := tone(440)
	for _, cut := range []int{0, 1} { // in the middle of a sample, too
		r, err := readWAV(whole[:44+16000+cut])
		if err != nil || r.Rate != 8000 || r.Length() != time.Second || r.Tone(440) != time.Second {
			t.Errorf("%s at %d Hz, %s of the tone, %v", r.Length(), r.Rate, r.Tone(440), err)
		}
		if half := r.After(time.Second / 2); half.Length() != time.Second/2 {
			t.Errorf("the second half is %s", half.Length())
		}
	}
	for _, broken := range [][]byte{nil, []byte("RIFF"), whole[:30]} {
		if _, err := readWAV(broken); err == nil {
			t.Errorf("%q is read as a WAV file", broken)
		}
	}
}
