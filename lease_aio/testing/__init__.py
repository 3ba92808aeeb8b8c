"""For tests of lease code: virtual time here, a real etcd and kube-apiserver in `lease_aio.testing.envtest`.

An API server in memory needs no help: `lease_aio.connect("embedded")`.
"""

from lease_aio.testing.virtual import VIRTUAL_TIME, Deadlock, VirtualClock, VirtualLoop, run

__all__ = ["VIRTUAL_TIME", "Deadlock", "VirtualClock", "VirtualLoop", "run"]
