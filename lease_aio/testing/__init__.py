"""Everything a test of lease code needs: virtual time, an API server in memory, fault plans."""
