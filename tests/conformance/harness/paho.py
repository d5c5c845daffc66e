"""`paho-mqtt`, a client that is none of the SDKs', as a case uses it: one step after the other.

Owns: the client's thread, and what its callbacks were told, in order. It must not judge it.
"""

import queue

import paho.mqtt.client as mqtt

from harness.errors import Unexpected
from harness.event_log import Peer, clock
from harness.raw_https import context
from harness.streams import PATH

WAIT_SECONDS = 30


class Paho:
    """One connection; a context manager."""

    def __init__(
        self, case, client_id, websocket=False, files=None, version=mqtt.MQTTv311, host=None, clean=True
    ):
        self._address = host or case.host, case.https_port if websocket else case.mqtt_port
        options = {"transport": "websockets" if websocket else "tcp", "reconnect_on_failure": False}
        if version != mqtt.MQTTv5:
            options["clean_session"] = clean
        self.client = mqtt.Client(client_id, protocol=version, **options)
        self.client.tls_set_context(context(case.ca_file, files))
        if websocket:
            self.client.ws_set_options(path=PATH)
        self._told = queue.Queue()
        told = self._told.put
        self.client.on_connect = lambda _c, _u, flags, code, *_: told(("connected", code, flags))
        self.client.on_disconnect = lambda _c, _u, code, *_: told(("disconnected", code, None))
        self.client.on_subscribe = lambda _c, _u, number, granted, *_: told(("subscribed", number, granted))
        self.client.on_unsubscribe = lambda _c, _u, number, *_: told(("unsubscribed", number, None))
        self.client.on_publish = lambda _c, _u, number: told(("published", number, None))
        self.client.on_message = lambda _c, _u, message: told(("message", message.topic, message))
        # Nothing else tells of an answer to a ping.
        self.client.on_log = lambda _c, _u, _level, text: text == "Received PINGRESP" and told(("pong", None, None))
        self.peer = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.disconnect()
        self.client.loop_stop()

    def connect(self, username, password=None, keepalive=60):
        """CONNECT; gives the code of CONNACK and its flags."""
        if username is not None:
            self.client.username_pw_set(username, password)
        since = clock()
        self.client.connect(*self._address, keepalive)
        connected = self.client.socket()
        # Paho's WebSocket has the real socket inside.
        self.peer = Peer(getattr(connected, "_socket", connected).getsockname(), since)
        self.client.loop_start()
        return self.next("connected")

    def subscribe(self, topic, qos=1):
        """SUBSCRIBE; gives what was granted."""
        _, number = self.client.subscribe(topic, qos)
        return self.next("subscribed", number)[1]

    def unsubscribe(self, topic):
        """UNSUBSCRIBE, acknowledged."""
        _, number = self.client.unsubscribe(topic)
        self.next("unsubscribed", number)

    def next(self, kind, wanted=None):
        """The next thing that was told is of that kind; gives what was said with it."""
        try:
            told, what, more = self._told.get(timeout=WAIT_SECONDS)
        except queue.Empty:
            raise Unexpected(f"nothing came within {WAIT_SECONDS} s, expected: {kind}") from None
        if told != kind or (wanted is not None and what != wanted):
            raise Unexpected(f"{told} ({what}) came, expected: {kind} {wanted or ''}")
        return what, more
