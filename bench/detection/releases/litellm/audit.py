"""Writes one line of JSON for each call that the gateway made: what an incident review needs, and no text."""

import json
import os
import sys
from datetime import datetime, timezone

import litellm
from litellm.integrations.custom_logger import CustomLogger

import door


class Audit(CustomLogger):
    """LiteLLM calls these after each upstream call."""

    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        self.write("answered", kwargs, 200, response_obj)

    async def async_log_failure_event(self, kwargs, response_obj, start_time, end_time):
        error = kwargs.get("exception")
        self.write("refused", kwargs, getattr(error, "status_code", None) or "network_error", error)

    def write(self, outcome, kwargs, status, subject):
        headers = (getattr(subject, "_hidden_params", None) or {}).get("additional_headers") or {}
        response = getattr(subject, "response", None)
        headers = headers or dict(getattr(response, "headers", None) or {})
        line = {
            "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            "event": "call",
            "version": os.environ["APP_VERSION"],
            "route": "/v1/chat/completions",
            "outcome": outcome,
            "status": status,
            "request_id": next((str(v) for k, v in headers.items() if "request-id" in k.lower()), None),
        }
        print(json.dumps(line), file=sys.stderr, flush=True)


writer = Audit()
litellm.aclient_session = door.client()
