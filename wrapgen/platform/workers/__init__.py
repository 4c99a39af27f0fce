"""Worker processes: how they start (`launch`, `bootstrap`), speak (`worker`), multiply (`pool`) and end (`process_tree`).

Nothing here knows HTTP, accounts or versions: a worker runs a `Runnable` and answers lines.
"""
