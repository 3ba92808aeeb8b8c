"""`lease-aio demo`: elections, heartbeats and identities on one client, with a crash, a resignation and silence.

`plan`, `story`, `board`, `report` and `view` are pure; `contender` and `run` await.
"""
