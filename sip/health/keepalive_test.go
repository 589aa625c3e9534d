package health

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"trunkline/sip"
	"trunkline/sip/registrar"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
)

// agents behind NATs, and who is asked when.
type agents struct {
	mu       sync.Mutex
	bindings []registrar.Binding
	asked    map[string][]time.Time
	bytes    string // last sent
	answer   func(o sip.Outside)
}

// at has two of them in a group, in any order.
func (a *agents) at(_ time.Time, turn int) []registrar.Binding {
	a.mu.Lock()
	defer a.mu.Unlock()
	group := slices.Clone(a.bindings[min(2*turn, len(a.bindings)):min(2*turn+2, len(a.bindings))])
	rand.Shuffle(len(group), func(i, j int) { group[i], group[j] = group[j], group[i] })
	return group
}

func (a *agents) Send(_ context.Context, _ uint64, o sip.Outside) (*sip.Sent, error) {
	a.mu.Lock()
	to := o.Flow.Remote.String()
	a.asked[to] = append(a.asked[to], time.Now())
	a.bytes = string(o.Write(nil, []byte("z9hG4bK1"), "192.0.2.1:5060"))
	answer := a.answer
	a.mu.Unlock()
	answer(o)
	return nil, nil
}

func (a *agents) set(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.bindings = nil
	for i := range n {
		a.bindings = append(a.bindings, registrar.Binding{URI: fmt.Sprintf("sip:%d@10.0.0.5", i), Flow: transport.Flow{Proto: transport.UDP, Remote: netip.AddrPortFrom(netip.MustParseAddr("203.0.113.7"), uint16(20000+i))}})
	}
}

// AUTH-08, RFC 4787 §4.3: each agent behind a NAT is asked once an interval, spread over it, as long as it is registered.
func TestKeepAlive_AUTH08(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &agents{asked: map[string][]time.Time{}, answer: answering(200)}
		k := NewKeepAlive(a, a.at, 30*time.Second)
		time.Sleep(time.Minute + 100*time.Millisecond) // never in the moment in which it works
		synctest.Wait()
		a.set(10)
		began := time.Now()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if len(a.asked) != 10 {
			t.Fatalf("%d are asked", len(a.asked))
		}
		moments := map[time.Time]bool{}
		for to, times := range a.asked {
			if len(times) < 19 || len(times) > 21 {
				t.Errorf("%s was asked %d times in ten minutes", to, len(times))
			}
			for i := range times[1:] {
				if gap := times[i+1].Sub(times[i]); gap > 31*time.Second {
					t.Errorf("%s was left alone for %v", to, gap)
				}
			}
			if first := times[0].Sub(began); first > 31*time.Second {
				t.Errorf("%s was asked for the first time after %v", to, first)
			}
			moments[times[0]] = true
		}
		if len(moments) != 10 {
			t.Errorf("they are asked at %d moments", len(moments))
		}
		if !strings.HasPrefix(a.bytes, "OPTIONS sip:") || !strings.Contains(a.bytes, "@10.0.0.5 SIP/2.0\r\n") {
			t.Errorf("the last sent is\n%s", a.bytes)
		}
		var m wire.Message
		if err := m.Parse([]byte(a.bytes)); err != nil {
			t.Errorf("%v in\n%s", err, a.bytes)
		}
		a.set(0)
		time.Sleep(time.Minute)
		synctest.Wait()
		clear(a.asked)
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(a.asked) != 0 {
			t.Errorf("who has gone is asked: %v", a.asked)
		}
		a.set(1)
		a.mu.Lock()
		a.answer = func(o sip.Outside) { o.Failed(time.Now(), errors.New("silence")) }
		a.mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		k.Close()
		clear(a.asked)
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(a.asked) != 0 {
			t.Error("it goes on when it is closed")
		}
		if n := testutil.CollectAndCount(k); n != 2 || k.silent.Load() < 2 || k.answered.Load() < 190 {
			t.Errorf("%d metrics; %d answered, %d silent", n, k.answered.Load(), k.silent.Load())
		}
	})
}

func TestKeepAliveOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &agents{asked: map[string][]time.Time{}, answer: answering(200)}
		a.set(3)
		k := NewKeepAlive(a, a.at, 0)
		time.Sleep(time.Hour)
		if len(a.asked) != 0 {
			t.Errorf("%v", a.asked)
		}
		k.Close()
	})
}
