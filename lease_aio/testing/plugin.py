"""The pytest plugin that `lease-aio` registers: fixtures for tests of lease code."""
