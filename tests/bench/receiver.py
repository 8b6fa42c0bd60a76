"""
What answers the webhooks that are measured? Run as `python -m tests.bench.receiver PORT [CERTIFICATE]`.

A web server on loopback that reads each request and says 202: as little as a partner can do. With a file that holds a
certificate and its key it speaks TLS.
"""

from __future__ import annotations

import ssl
import sys

from aiohttp import web


async def _receive(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(status=202)


def main() -> None:
    """Answer until SIGTERM."""
    app = web.Application()
    app.router.add_post("/hook", _receive)
    tls = None
    if len(sys.argv) > 2:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(sys.argv[2])
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None, ssl_context=tls)


if __name__ == "__main__":
    main()
