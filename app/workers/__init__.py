"""Several processes that serve as one: a supervisor, which serves nothing itself, and its workers.

    supervisor   loads the models, forks the workers, replaces those that end, and keeps what holds for all:
       │         the listening socket, reloads, sums of metrics, counts of the rate limit, the order of a stop
       ├─ worker   the service as one process serves it, with an event loop and a thread that computes
       └─ worker   …

They talk over a pair of sockets each (:mod:`.channel`), and share a little memory (:mod:`.shared`) for what is asked
too often for messages.
"""
