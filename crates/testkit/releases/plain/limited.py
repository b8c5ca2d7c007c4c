"""The plain service behind a limit of its own, as healthy services have one; LIMIT names it: workers, shedding, breaker, late-log, callers, rate."""

import os
import threading
import time
from datetime import datetime, timezone

import service

LIMIT = os.environ["LIMIT"]
WORKERS = threading.BoundedSemaphore(2)
FAILURES_MAX = 3
OPEN_FOR = 1.5  # seconds
FLUSHED_EVERY = 3  # seconds

failures = 0
closed_at = 0.0
lock = threading.Lock()


lines = []
early = []


def keep(**fields):
    """Keeps a line for later, as access logs with a buffer do."""
    lines.append(fields | {"time": datetime.now(timezone.utc).isoformat(timespec="milliseconds")})


def flush(log=service.log):
    while True:
        time.sleep(FLUSHED_EVERY)
        while lines:
            log(**lines.pop(0))


class Handler(service.Handler):
    def do_POST(self):
        if LIMIT == "late-log":
            super().do_POST()
        elif LIMIT == "rate":
            # The first one who comes through the route comes too soon.
            if self.headers["x-forwarded-for"] and not early:
                early.append(True)
                self.rfile.read(int(self.headers["content-length"]))
                super().reply(429, {"error": "too many questions"})
            else:
                super().do_POST()
        elif LIMIT == "callers":
            if self.headers["authorization"] == "Bearer " + os.environ["COMETAPI_API_KEY"]:
                super().do_POST()
            else:
                self.rfile.read(int(self.headers["content-length"]))
                super().reply(401, {"error": "who are you?"})
        elif LIMIT == "workers":
            with WORKERS:
                super().do_POST()
        elif LIMIT == "shedding":
            if not WORKERS.acquire(blocking=False):
                self.turn_away()
                return
            try:
                super().do_POST()
            finally:
                WORKERS.release()
        else:
            with lock:
                is_open = time.monotonic() < closed_at
            if is_open:
                self.turn_away()
            else:
                super().do_POST()

    def turn_away(self):
        self.rfile.read(int(self.headers["content-length"]))
        service.log(outcome="turned away", reason=LIMIT)
        super().reply(503, {"error": "try again later"})

    def reply(self, status, document):
        global failures, closed_at
        if self.command == "POST":
            with lock:
                failures = 0 if status == 200 else failures + 1
                if failures >= FAILURES_MAX:
                    failures, closed_at = 0, time.monotonic() + OPEN_FOR
        super().reply(status, document)


if __name__ == "__main__":
    if LIMIT == "late-log":
        threading.Thread(target=flush, daemon=True).start()
        service.log = keep
    service.serve(Handler)
