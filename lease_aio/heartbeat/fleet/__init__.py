"""Many simulated nodes: who they are, whose they are, how they come and go, and what can be done to them.

`fleet` is the block, `crew` takes nodes in and lets them go, `selection` and `control` are the verbs. `choose`, `roll`,
`select` and `verdicts` are pure.
"""
