"""Workers: what the processes of task queues run. They get names, and make hosts equal to the master copy.

What puts names into queues is in `resto.executors`; nothing here decides when something is done, but for when it is tried again. Look first at
`jobs.perform`, the one thing that all of them do; `scheduled` is for queues that have a schedule, too.
"""

from resto.workers.jobs import Done, perform


__all__ = ["Done", "perform"]
