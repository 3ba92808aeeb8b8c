"""`python -m lease_aio.cli`: the same as the command `lease-aio`."""

from lease_aio.cli.main import run

if __name__ == "__main__":
    run()
