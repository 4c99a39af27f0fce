"""Worker processes: how they start (`start`), speak (`worker`), multiply (`pool`) and end (`family`).

Nothing here knows HTTP, accounts or versions: a worker runs a `Runnable` and answers lines.
"""
