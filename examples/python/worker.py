"""An app in Python, with the standard library only: it refuses joins of users without a name.

It speaks the text protocol of NATS itself, which shows all that is on the wire. It knows no TLS, no
credentials and one server only: with a NATS client library those come for free.
"""

import asyncio
import json
import os
import signal
import sys
import uuid
from urllib.parse import urlparse

MANIFEST = {
    "id": "named",
    "version": "1.0.0",
    "implements": ["PreRoomUserJoined"],
    "essentials": ["PreRoomUserJoined"],  # without its answer no user joins
}
APP = MANIFEST["id"]
SUBJECT = f"room.pre.userjoin.{APP}"
ASKED, ASKED_AGAIN, REGISTERED, INFO = "1", "2", "3", "4"  # ids of subscriptions


def verdict(event):
    if event["joiningUser"].get("name"):
        return {"verdict": "allow"}
    return {"verdict": "deny", "reason": "tell us your name first"}


class Worker:
    """One connection to NATS."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.inbox = f"_INBOX.{uuid.uuid4().hex}"
        self.draining = False

    def send(self, *lines):
        self.writer.write("".join(line + "\r\n" for line in lines).encode())

    def publish(self, subject, body, reply="", header=""):
        if header:
            size = f"{len(header.encode())} {len((header + body).encode())}"
            self.send(f"HPUB {subject} {reply} {size}", header + body)
        else:
            self.send(f"PUB {subject} {reply} {len(body.encode())}", body)

    def register(self):
        self.publish("room.app.register", json.dumps(MANIFEST), f"{self.inbox}.register")

    def look(self):
        """Asks whether the app is still registered, now and every 30 seconds."""
        self.publish("room.app.info", json.dumps({"id": APP}), f"{self.inbox}.info")
        asyncio.get_running_loop().call_later(30, self.look)

    def drain(self):
        """Takes no more requests. The PONG comes after the last of those that were sent before."""
        self.draining = True
        self.send(f"UNSUB {ASKED}", f"UNSUB {ASKED_AGAIN}", "PING")

    async def serve(self):
        options = {"name": APP, "verbose": False, "headers": True, "no_responders": True}
        self.send(
            f"CONNECT {json.dumps(options)}",
            f"SUB {SUBJECT} {APP} {ASKED}",  # the workers of the app share the queue group
            f"SUB {SUBJECT}.retry {ASKED_AGAIN}",  # every worker hears a retry: one may hang
            f"SUB {self.inbox}.register {REGISTERED}",
            f"SUB {self.inbox}.info {INFO}",
        )
        self.register()  # after the subscriptions: from now on the app is asked
        asyncio.get_running_loop().call_later(30, self.look)
        while line := (await self.reader.readline()).decode():
            operation, *args = line.split()
            if operation == "PING":
                self.send("PONG")
            elif operation == "PONG" and self.draining:
                return
            elif operation in ("MSG", "HMSG"):
                headers = int(args[-2]) if operation == "HMSG" else 0
                data = (await self.reader.readexactly(int(args[-1]) + 2))[:-2]
                reply = args[2] if len(args) > (4 if headers else 3) else ""
                self.receive(args[1], reply, data[:headers].decode(), data[headers:])
            elif operation == "-ERR":
                print(line.strip(), file=sys.stderr)
        raise ConnectionError("the connection has ended")

    def receive(self, subscription, reply, headers, body):
        if subscription in (ASKED, ASKED_AGAIN):
            if reply.startswith("_INBOX"):  # never answer to anything but an inbox
                self.answer(reply, body)
        elif subscription == INFO:
            if b'"neverRegistered":true' in body:  # the registry was lost
                self.register()
        elif "Nats-Service-Error-Code: 400" in headers:
            sys.exit(f"register: {body.decode()}")  # it will be no better
        elif "Nats-Service-Error:" in headers or headers.startswith("NATS/1.0 503"):
            print("the room service is away", file=sys.stderr)
            asyncio.get_running_loop().call_later(1, self.register)
        else:
            print("registered", flush=True)

    def answer(self, reply, body):
        try:
            self.publish(reply, json.dumps(verdict(json.loads(body))))
        except (ValueError, KeyError) as failure:
            error = f"Nats-Service-Error-Code: 500\r\nNats-Service-Error: {failure!r}"
            self.publish(reply, "", header=f"NATS/1.0\r\n{error}\r\n\r\n")


async def main():
    server = urlparse(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"))
    loop = asyncio.get_running_loop()
    while True:
        try:
            worker = Worker(*await asyncio.open_connection(server.hostname, server.port or 4222))
            for stop in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(stop, worker.drain)
            await worker.serve()
            break
        except OSError as failure:
            print(f"NATS: {failure}", file=sys.stderr)
            for stop in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(stop)  # nothing to finish
            await asyncio.sleep(1)
    print("ended", flush=True)


asyncio.run(main())
