"""Services that misbehave as processes; FAULT names how."""

import fcntl
import html
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time

import service

FAULT = os.environ["FAULT"]


def child(**options):
    """A process that lives on when its starter ends."""
    subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL, **options)


class Deaf(service.Server):
    """Never answers."""

    def process_request(self, request, client_address):
        pass


class Dying(service.Handler):
    """Ends at the first question."""

    def do_POST(self):
        os._exit(3)


def read_or_die(status, body, read=service.read):
    """Ends at a reply without usage."""
    if status == 200 and not json.loads(body).get("usage"):
        os._exit(3)
    return read(status, body)


def read_or_die_of_401(status, body, read=service.read):
    """Ends when its key is refused."""
    if status == 401:
        os._exit(3)
    return read(status, body)


class Red(service.Handler):
    """Is ready no more when it has reported an error once."""

    failed = False

    def do_GET(self):
        self.reply(500 if Red.failed else 200, {})

    def reply(self, status, document):
        Red.failed = Red.failed or status == 502
        super().reply(status, document)


class Loud(service.Handler):
    """Writes 100 MB for its first question, then answers."""

    written = False

    def do_POST(self):
        if not Loud.written:
            Loud.written = True
            line = b"x" * 1023 + b"\n"
            for _ in range(50 * 1024):
                sys.stdout.buffer.write(line)
                sys.stderr.buffer.write(line)
            sys.stdout.flush()
            sys.stderr.flush()
        super().do_POST()


class Page(service.Handler):
    """Declares all it says as a page."""

    def send_header(self, name, value):
        super().send_header(name, "text/html" if name == "content-type" else value)


class OneByOne(service.Handler):
    """Lets each user wait for the one before."""

    turn = threading.Lock()

    def do_POST(self):
        with OneByOne.turn:
            super().do_POST()


class Tenth(service.Handler):
    """Fails each tenth user by itself."""

    asked = itertools.count(1)

    def do_POST(self):
        if next(Tenth.asked) % 10:
            super().do_POST()
        else:
            self.rfile.read(int(self.headers["content-length"]))
            service.log(outcome="refused", reason="no connection is left in the pool")
            self.reply(500, {"error": "internal error"})


class LooksWell(service.Handler):
    """Has a status of success for its errors, too."""

    def reply(self, status, document):
        super().reply(200, document)


def read_escaped(status, body, read=service.read):
    """Escapes what it gives out."""
    return html.escape(read(status, body))


class Forking(service.Handler):
    """Leaves a child behind at each question."""

    def do_POST(self):
        child()
        child(start_new_session=True)
        super().do_POST()


if __name__ == "__main__":
    if FAULT == "exits-at-once":
        print("the database is not there", file=sys.stderr, flush=True)
        sys.exit(7)
    elif FAULT == "never-ready":
        while True:
            time.sleep(60)
    elif FAULT == "never-answers-ready":
        Deaf(("127.0.0.1", int(os.environ["PORT"])), service.Handler).serve_forever()
    elif FAULT == "ignores-sigterm":
        server = service.Server(("127.0.0.1", int(os.environ["PORT"])), service.Handler)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        server.serve_forever()
    elif FAULT == "exits-with-children":
        child()
        child(start_new_session=True)
        sys.exit(7)
    elif FAULT == "dies-without-usage":
        service.read = read_or_die
        service.serve()
    elif FAULT == "dies-of-a-refused-key":
        service.read = read_or_die_of_401
        service.serve()
    elif FAULT == "escapes":
        service.read = read_escaped
        service.serve()
    elif FAULT == "runs-once":
        # Ends at once where another of its kind runs, as whatever keeps an embedded database does.
        lock = open(os.environ["STATE"] + ".lock", "w")
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        service.serve()
    elif FAULT == "reads-state":
        # What an older release can read of the state that both share.
        if os.path.exists(os.environ["STATE"]):
            sys.exit("the state is of a later version")
        service.serve()
    elif FAULT == "writes-state-at-its-end":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        try:
            service.Server(("127.0.0.1", int(os.environ["PORT"])), service.Handler).serve_forever()
        finally:
            open(os.environ["STATE"], "w").close()
    else:
        handlers = {"dies-when-asked": Dying, "red": Red, "loud": Loud, "forks": Forking}
        handlers |= {"page": Page, "one-by-one": OneByOne, "tenth": Tenth, "looks-well": LooksWell}
        service.serve(handlers[FAULT])
