"""Everything a test of lease code needs: virtual time, an API server in memory, fault plans."""

from lease_aio.testing.virtual import VIRTUAL_TIME, Deadlock, VirtualClock, VirtualLoop, run

__all__ = ["VIRTUAL_TIME", "Deadlock", "VirtualClock", "VirtualLoop", "run"]
