"""
What answers the webhooks that are measured? Run as `python -m tests.bench.receiver PORT`.

A web server on loopback that reads each request and says 202: as little as a partner can do.
"""

from __future__ import annotations

import sys

from aiohttp import web


async def _receive(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(status=202)


def main() -> None:
    """Answer until SIGTERM."""
    app = web.Application()
    app.router.add_post("/hook", _receive)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)


if __name__ == "__main__":
    main()
