"""A CRM that checks what it gets with the Python library of Standard Webhooks, and says under which of the keys it is genuine.

    standard_webhooks.py KEY...
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError


def say(line):
    print(json.dumps(line), flush=True)


def accepts(key, body, headers):
    try:
        Webhook(key).verify(body, headers)
        return True
    except WebhookVerificationError:
        return False


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = dict(self.headers)
        changed = body.replace(b"hello", b"hallo")
        keys = sys.argv[1:]
        say(
            {
                "id": self.headers["webhook-id"],
                "genuine": [accepts(key, body, headers) for key in keys],
                "changed": [accepts(key, changed, headers) for key in keys],
            }
        )
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_arguments):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
say({"port": server.server_port})
server.serve_forever()
