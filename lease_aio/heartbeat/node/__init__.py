"""Nodes as objects: what a simulated one looks like, how it is registered, and the watch of what others write on it.

`profile`, `description` and `drift` are pure.
"""
