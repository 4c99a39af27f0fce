"""`python -m wrapgen` is `wrapgen`."""

import sys

from wrapgen.cli.main import main

sys.exit(main())
