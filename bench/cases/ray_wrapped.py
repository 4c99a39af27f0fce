"""The application that `wrapgen build --serve ray` writes, on a port."""

import sys

from ray import serve
from ray_app import app

serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
serve.run(app, blocking=True)
