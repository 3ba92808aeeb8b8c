"""The command `lease-aio`; needs the extra `cli` (typer and rich). `main.run` is its entry point."""
