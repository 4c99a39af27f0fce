"""A run without a server: from a spec to processes of this machine that execute its wrapper.

Assembles: `build` makes the wrapper, `run.hosts.processes` executes it; what it needs installed is found or
made here.
"""

from wrapgen.local.spec_host import LocalWrapper, local_wrapper

__all__ = ["LocalWrapper", "local_wrapper"]
