"""A service of OpenStack, as far as tokens go: the real keystonemiddleware, and behind it an answer that is what it said.

/usr/bin/python3 service.py CONF PORT
Configured by CONF alone, as Glance or Nova are. Answers a request that got through with the X- headers it then has, as JSON.
"""

import json
import logging
import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from keystonemiddleware import auth_token


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Handler(WSGIRequestHandler):
    def log_message(self, format, *args):
        pass


def application(environ, start_response):
    headers = {
        name[len("HTTP_"):].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith(("HTTP_X_", "HTTP_OPENSTACK_"))
    }
    for secret in ("x-auth-token", "x-service-token"):
        headers.pop(secret, None)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(headers).encode()]


conf, port = sys.argv[1:]
logging.basicConfig(level=logging.INFO)
sys.argv = sys.argv[:1]
guarded = auth_token.AuthProtocol(application, {"oslo_config_project": "service", "oslo_config_file": conf})
make_server("127.0.0.1", int(port), guarded, server_class=Server, handler_class=Handler).serve_forever()
