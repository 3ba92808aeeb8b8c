"""`lease-aio fleet`: the heartbeats of many simulated nodes, and what happens to them.

`options`, `report`, `digest`, `view` and `load` are pure; `telling` speaks, `screen` draws, `run` awaits.
"""
