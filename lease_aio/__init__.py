"""Coordination through Kubernetes Leases for asyncio."""
