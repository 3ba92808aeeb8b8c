"""The status of one Node, a kubelet's second heartbeat: when it is computed, when it is written, and how.

`keeper` is pure; `beat` awaits, and `solo` starts and stops it on its own.
"""
