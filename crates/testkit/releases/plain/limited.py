"""The plain service behind a limit of its own, as healthy services have one; LIMIT names it: workers, shedding, breaker."""

import os
import threading
import time

import service

LIMIT = os.environ["LIMIT"]
WORKERS = threading.BoundedSemaphore(2)
FAILURES_MAX = 3
OPEN_FOR = 1.5  # seconds

failures = 0
closed_at = 0.0
lock = threading.Lock()


class Handler(service.Handler):
    def do_POST(self):
        if LIMIT == "workers":
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
    service.serve(Handler)
