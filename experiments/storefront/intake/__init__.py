"""Events that come in other ways than a page's requests: files, signed webhooks, Redis streams, Kafka topics.

Read `lines` first: the one way by which a line gets into the ledger. `feeding` is the loop around it; the other modules
are where lines come from.
"""
