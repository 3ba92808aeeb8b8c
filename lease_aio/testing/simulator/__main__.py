"""`python -m lease_aio.testing.simulator --seeds 20000`: see `lease_aio.testing.simulator.command`."""

import sys

from lease_aio.testing.simulator.command import main

if __name__ == "__main__":
    sys.exit(main())
