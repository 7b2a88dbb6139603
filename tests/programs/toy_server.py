"""``tapetum serve`` whose workers look at images with the toy annotator; the port is its choice."""

from __future__ import annotations

import asyncio
import os

from tapetum.cli.serve import serve
from tapetum.observe.log import configure_logging
from tapetum.server import Server
from tapetum.settings import resolve

settings = resolve({"port": 0}, os.environ)
configure_logging(settings.log_level)
asyncio.run(serve(Server(settings, "toy_annotator:Toys"), settings.shutdown_seconds))
