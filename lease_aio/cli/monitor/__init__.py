"""`lease-aio monitor`: which nodes are available, judged as the control plane does, live."""

from lease_aio.cli.monitor.run import MonitorOptions, monitor_settings, run_monitor

__all__ = ["MonitorOptions", "monitor_settings", "run_monitor"]
