"""Worker processes: they start in `launch` (and `wrapgen.worker`), speak in `worker`, multiply in `pool`.

Nothing here knows HTTP, accounts or versions: a worker runs a `Runnable` and answers lines.
"""
