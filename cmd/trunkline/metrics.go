package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"trunkline/media"
	"trunkline/sip"
	"trunkline/sip/health"
	"trunkline/sip/probe"
	"trunkline/sip/register"
	"trunkline/sip/registrar"
	"trunkline/sip/transport"
	"trunkline/trunks/pace"
)

// registerMetrics adds the metrics of the edge, its sockets, its relay, its registrations, the health of its trunks, and the agents that register. relay may be nil.
func registerMetrics(to prometheus.Registerer, edge *sip.Edge, network *transport.Network, relay *media.Relay, keeper *register.Keeper, watcher *health.Watcher, agents *registrar.Registrar, keepAlive *health.KeepAlive) error {
	for _, c := range []prometheus.Collector{edge.Collector(), keeper, watcher, agents, keepAlive, pace.Collector(edge.PaceKeys)} {
		if err := to.Register(c); err != nil {
			return err
		}
	}
	if relay != nil {
		if err := relay.Register(to); err != nil {
			return err
		}
	}
	return transport.Register(to, network, edge.Dropped)
}

// registerProbeMetrics adds the metrics of tests, and of those by schedule.
func registerProbeMetrics(to prometheus.Registerer, prober *probe.Prober, verifier *probe.Verifier) error {
	if err := to.Register(prober); err != nil {
		return err
	}
	return to.Register(verifier)
}
