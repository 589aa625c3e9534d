package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"trunkline/config"
	"trunkline/internal/carrier"
	"trunkline/store"
)

// What the demo calls with.
const (
	demoUser     = "edge-1"
	demoPassword = "correct horse battery"
	demoNumber   = "+15550001234" // ours
	demoFriend   = "+14155550100" // somebody's in the public network
)

// demonstration is the small world of the demo: a carrier, the edge and an application.
type demonstration struct {
	out    io.Writer
	log    *slog.Logger
	steps  int
	folder string // temporary
	file   string // the edge's configuration

	carrier *carrier.Carrier
	app     *carrier.App
	daemon  *daemon // nil until the trunk was proven

	edge, application netip.AddrPort

	key                string // of the API
	bodies             int    // files with bodies of requests
	evidence           string
	connection, number string // their paths
	agent              any    // its id

	shown store.Stored // the record of the call whose ladder is drawn
	calls int          // that are to be on record
}

// newDemonstration starts the carrier, finds a place for the application and writes the edge's configuration.
func newDemonstration(ctx context.Context, out, talk io.Writer) (_ *demonstration, err error) {
	d := &demonstration{out: out, log: slog.New(slog.NewTextHandler(talk, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	if d.folder, err = os.MkdirTemp("", "trunkline-demo-"); err != nil {
		return nil, err
	}
	if d.edge, err = freeAddress(loopback(1)); err != nil {
		return nil, err
	}
	d.carrier, err = carrier.Start(context.WithoutCancel(ctx), carrier.Options{ // both end in close
		Listen: netip.AddrPortFrom(loopback(2), 0),
		Realm:  "carrier.example", User: demoUser, Password: demoPassword, Algorithm: "SHA-256,MD5",
		DIDs: []string{demoNumber}, Contact: "sip:" + d.edge.String(),
		Ring: 150 * time.Millisecond,
	})
	if err != nil {
		return nil, err
	}
	if d.application, err = freeAddress(loopback(3)); err != nil {
		return nil, err
	}
	if err := d.writeFiles(); err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "A simulated carrier (%s), the edge (%s) and an application (%s), all in this process.\n",
		d.carrier.Addr(), d.edge, d.application)
	return d, nil
}

// writeFiles writes the passwords and the configuration, with free ports.
func (d *demonstration) writeFiles() (err error) {
	media, err := freePorts(d.edge.Addr())
	if err != nil {
		return err
	}
	d.file = filepath.Join(d.folder, "sipgo.yaml")
	text := fmt.Sprintf(`sip: {listen: ["udp://%[1]s", "tcp://%[1]s"]}
media: {ports: %[3]d-%[4]d}
http: {listen: "127.0.0.1:0"}
storage: {directory: %[2]q}
trace: {memory: 4MiB}
drain: {deadline: 3s}
probe: {allow_private_targets: true}
`, d.edge, filepath.Join(d.folder, "data"), media, media+mediaPorts-1)
	return errors.Join(
		os.WriteFile(d.file, []byte(text), 0o600),
		os.WriteFile(d.passwordFile("right"), []byte(demoPassword+"\n"), 0o600),
		os.WriteFile(d.passwordFile("wrong"), []byte("hunter2\n"), 0o600),
	)
}

func (d *demonstration) passwordFile(which string) string {
	return filepath.Join(d.folder, which+"-password")
}

// start starts the edge, then the application, which must know where the edge is.
func (d *demonstration) start(ctx context.Context) error {
	c, err := config.Load(d.file, nil)
	if err != nil {
		return err
	}
	if d.daemon, err = startDaemon(ctx, daemonOptions{Config: c, File: d.file, Log: d.log}); err != nil {
		return err
	}
	d.app, err = carrier.StartApp(context.WithoutCancel(ctx), carrier.AppOptions{Listen: d.application, Edge: d.edge})
	return err
}

// end stops everything, in the order of an orderly shutdown, and looks whether it was one.
func (d *demonstration) end(ctx context.Context) error {
	if left := d.daemon.drain(ctx); left > 0 {
		return fmt.Errorf("%d calls are still up", left)
	}
	d.daemon.unregister()
	if contact, still := d.carrier.Registered(demoUser); still {
		return fmt.Errorf("%s is still registered", contact)
	}
	select {
	case err := <-d.daemon.failed:
		return err
	default:
	}
	d.close()
	if _, err := os.Stat(d.folder); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s is still there", d.folder)
	}
	d.saw("the carrier has no registration of us any more; sockets closed; %s removed", d.folder)
	return nil
}

// close may be called more than once.
func (d *demonstration) close() {
	if d.daemon != nil {
		d.daemon.close()
	}
	if d.app != nil {
		d.app.Close()
	}
	if d.carrier != nil {
		d.carrier.Close()
	}
	if d.folder != "" {
		os.RemoveAll(d.folder)
	}
}

// loopback is 127.0.0.n where the host has it, else 127.0.0.1: some systems have only that one until told otherwise.
func loopback(n byte) netip.Addr {
	a := netip.AddrFrom4([4]byte{127, 0, 0, n})
	socket, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 0)))
	if err != nil {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	socket.Close()
	return a
}

// freeAddress returns an address with a port that is free for UDP and TCP at the moment.
func freeAddress(a netip.Addr) (netip.AddrPort, error) {
	for range 20 {
		socket, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 0)))
		if err != nil {
			return netip.AddrPort{}, err
		}
		found := socket.LocalAddr().(*net.UDPAddr).AddrPort()
		listener, err := net.Listen("tcp", found.String())
		socket.Close()
		if err == nil {
			listener.Close()
			return found, nil
		}
	}
	return netip.AddrPort{}, fmt.Errorf("no port of %s is free for both UDP and TCP", a)
}

// mediaPorts is how many ports the demo's relay gets; a call takes four, and they rest before they are used again.
const mediaPorts = 48

// freePorts returns the first of mediaPorts UDP ports in a row that are free at the moment, so that the demo runs beside an
// edge that is busy on the usual ones. It looks below the ports that systems give out by themselves.
func freePorts(a netip.Addr) (first uint16, err error) {
	for range 100 {
		first = 10000 + mediaPorts*uint16(rand.IntN(20000/mediaPorts))
		if err = allFree(a, first); err == nil {
			return first, nil
		}
	}
	return 0, fmt.Errorf("no %d UDP ports in a row are free: %w", mediaPorts, err)
}

func allFree(a netip.Addr, first uint16) error {
	for port := range uint16(mediaPorts) {
		socket, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, first+port)))
		if err != nil {
			return err
		}
		socket.Close()
	}
	return nil
}

// indented writes lines three columns to the right.
type indented struct {
	to     io.Writer
	middle bool // of a line
}

func (w *indented) Write(b []byte) (int, error) {
	for line := range bytes.Lines(b) {
		if !w.middle && len(bytes.TrimSpace(line)) > 0 {
			if _, err := io.WriteString(w.to, "   "); err != nil {
				return 0, err
			}
		}
		if _, err := w.to.Write(line); err != nil {
			return 0, err
		}
		w.middle = !bytes.HasSuffix(line, []byte("\n"))
	}
	return len(b), nil
}

// eventually waits until done is true; ctx bounds the wait.
func eventually(ctx context.Context, what string, done func() bool) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, context.Cause(ctx))
		}
	}
	return nil
}
