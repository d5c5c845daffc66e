"""A custom-allocation webhook on this machine: keeps what it is asked, answers what the case says.

Owns: the HTTP server of one case. It must not know what an answer means.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Webhook:
    """A webhook; `answer` is a function of the request's body that gives (status, body)."""

    def __init__(self, case, answer):
        self.answer = answer
        self.asked = []
        self.paths = []
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            """One request."""

            protocol_version = "HTTP/1.1"

            def do_POST(self):
                """Reads the question and gives the answer."""
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                webhook.asked.append(body)
                webhook.paths.append(self.path)
                status, answer = webhook.answer(body)
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", case.port()), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        case.at_end(self.server.server_close)
        case.at_end(self.server.shutdown)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/api/allocate?code=s3cret"

    def fields(self, **more):
        """The members of an enrollment that asks this webhook."""
        definition = {"webhookUrl": self.url, "apiVersion": "2021-10-01"}
        return {"allocationPolicy": "custom", "customAllocationDefinition": definition, **more}
