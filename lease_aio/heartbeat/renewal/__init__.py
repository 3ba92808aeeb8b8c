"""One Lease kept alive: a kubelet's rules, what they remember and write, and the beat that performs them.

`rules`, `kept` and `renewer` are pure; `beat` awaits, and `solo` starts and stops it on its own.
"""
