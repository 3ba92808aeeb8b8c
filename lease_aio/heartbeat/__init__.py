"""Node heartbeats through Leases: a kubelet's renewal rules, one node's heartbeat, and fleets of simulated nodes."""
