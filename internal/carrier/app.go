package carrier

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/emiago/sipgo/sip"
)

// App is an application behind the edge: it answers what comes in and may call out. Its methods may be called concurrently.
type App struct {
	phone   *phone
	options AppOptions
}

// StartApp opens the sockets and answers until Close or until ctx ends.
func StartApp(ctx context.Context, o AppOptions) (*App, error) {
	if o.Ring == 0 {
		o.Ring = 50 * time.Millisecond
	}
	p, err := newPhone(ctx, setup{listen: o.Listen, user: "app", transport: o.Transport, hz: toneOf(o.Media, tones[1]), log: o.Log})
	if err != nil {
		return nil, err
	}
	p.invited = func(req *sip.Request, tx sip.ServerTransaction) { p.take(req, tx, reply{ring: o.Ring}, false) }
	if err := p.serve(ctx); err != nil {
		return nil, err
	}
	return &App{phone: p, options: o}, nil
}

// Addr is the address listened on.
func (a *App) Addr() netip.AddrPort { return a.phone.stack.addr }

// Call places a call through the edge and returns once it is answered. The error is a *Refused, that of ctx, or says what
// went wrong; when ctx ends first the call is cancelled.
func (a *App) Call(ctx context.Context, from, to string) (*Call, error) {
	if !a.options.Edge.IsValid() {
		return nil, errors.New("app: AppOptions.Edge is not set")
	}
	return a.phone.dial(ctx, order{to: "sip:" + to + "@" + a.options.Edge.String(), from: from})
}

// Calls are the calls there were and are, oldest first.
func (a *App) Calls() []CallInfo { return a.phone.list() }

// Close hangs up every call and closes the sockets.
func (a *App) Close() error {
	a.phone.close()
	return nil
}
