"""What a client tells to those who watch it: Prometheus metrics (extra `metrics`)."""
