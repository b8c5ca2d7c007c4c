#!/usr/bin/env python3
"""Has llmock judge one release of a project: `llmock.py PROJECT new|rollback [CASE]` prints one JSON line.

The release is started as the project's `surestep.yaml` says, with llmock's address where surestep would put its tap. For each scenario
below it is asked once, unary and streamed where it can stream; llmock's journal is empty before and its verdict is read after. Nothing but
llmock decides: what the release answers is thrown away, as llmock does not look at it. CASE is one case in place of all:
`{"behaviors": [...], "mode": "unary", "asks": 2, "pause": 2}`.

Runs in an environment that has llmock (`install.sh python-llmock`), whose own HTTP client and YAML reader it uses.
"""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import httpx
import yaml

# Every fault that llmock can make and has a rule about, and the calm case. Waits are as long as the stalls that surestep makes.
SCENARIOS = {
    "no fault": [],
    "429, Retry-After 2 s, then good": [{"type": "fail", "status": 429, "retry_after": 2}],
    "429, lasting": [{"type": "fail", "status": 429, "times": None}],
    "503, then good": [{"type": "fail", "status": 503}],
    "500, lasting": [{"type": "fail", "status": 500, "times": None}],
    "503, lasting": [{"type": "fail", "status": 503, "times": None}],
    "400": [{"type": "fail", "status": 400, "times": None}],
    "401": [{"type": "fail", "status": 401, "times": None}],
    "403": [{"type": "fail", "status": 403, "times": None}],
    "404": [{"type": "fail", "status": 404, "times": None}],
    "422": [{"type": "fail", "status": 422, "times": None}],
    "answer held back": [{"type": "delay", "seconds": 25, "times": None}],
    "first token held back": [{"type": "slow_first_token", "seconds": 25, "times": None}],
    "stream dropped": [{"type": "stream_fault", "kind": "disconnect", "after_chunks": 2, "times": None}],
    "stream truncated": [{"type": "stream_fault", "kind": "truncate", "after_chunks": 2, "times": None}],
    "stream malformed": [{"type": "stream_fault", "kind": "malformed", "after_chunks": 2, "times": None}],
    "stream stalled": [
        {"type": "stream_fault", "kind": "stall", "after_chunks": 2, "stall_seconds": 25, "times": None}
    ],
}
PROMPT = "How do I renew the certificate of our load balancer?"


def main() -> int:
    project, side = pathlib.Path(sys.argv[1]), sys.argv[2]
    config = yaml.safe_load((project / "surestep.yaml").read_text())
    release = config["releases"][side]
    llmock_port, service_port = free_port(), free_port()
    llmock = start_llmock(llmock_port)
    service = None
    try:
        admin = httpx.Client(base_url=f"http://127.0.0.1:{llmock_port}/_llmock", timeout=60)
        wait_for(lambda: admin.get("/scenario").is_success, llmock, 60, "llmock")
        environment = environment_of(config, release, llmock_port, service_port)
        run = release["run"]
        if "service" in run:
            service = start_service(release, environment, service_port)
        can_stream = "stream" in run or "openai" in run.get("ask", {})
        found = []
        calls = 0
        for case in [json.loads(sys.argv[3])] if len(sys.argv) > 3 else cases(can_stream):
            admin.post("/reset").raise_for_status()
            if case["behaviors"]:
                admin.post("/scenario", json={"behaviors": case["behaviors"]}).raise_for_status()
            for number in range(case.get("asks", 1)):
                time.sleep(case.get("pause", 0) if number else 0)
                ask(config, release, environment, service_port, case["mode"])
            verdict = admin.get("/verdict").raise_for_status().json()
            calls += verdict["calls"]
            for finding in verdict["findings"]:
                about = [finding["severity"], finding["code"], case.get("name", "the case"), case["mode"]]
                if about not in found:
                    found.append(about)
        print(json.dumps({"findings": found, "calls": calls}))
        return 0
    finally:
        for process in (service, llmock):
            if process is not None:
                stop(process)


def cases(can_stream: bool) -> list:
    all_cases = []
    for name, behaviors in SCENARIOS.items():
        if not name.startswith(("stream", "first token")):
            all_cases.append({"name": name, "behaviors": behaviors, "mode": "unary"})
        if can_stream:
            all_cases.append({"name": name, "behaviors": behaviors, "mode": "stream"})
    return all_cases


def start_llmock(port: int) -> subprocess.Popen:
    program = pathlib.Path(sys.executable).with_name("llmock")
    words = [program, "serve", "--host", "127.0.0.1", "--port", str(port), "--log-level", "error"]
    # As fast as it can: whatever it waits is a scenario's.
    return start(words, os.environ | {"LLMOCK_LATENCY_MS": "0"}, None)


def start_service(release: dict, environment: dict, port: int) -> subprocess.Popen:
    run = release["run"]
    words = [filled(word, port) for word in run["service"]]
    if "env_port" in run:
        environment[run["env_port"]] = str(port)
    service = start(words, environment, release.get("directory"))
    ready = f"http://127.0.0.1:{port}{run.get('ready', '/')}"
    # Where it leads to does not matter: any answer says that it is there.
    wait_for(lambda: httpx.get(ready, timeout=5).status_code < 500, service, 120, "the release")
    return service


def ask(config: dict, release: dict, environment: dict, port: int, mode: str) -> None:
    run = release["run"]
    limit = float(str(release.get("deadline", "30s")).removesuffix("s"))
    if "command" in run:
        way = run["stream"] if mode == "stream" else run
        words = [word.replace("{prompt}", PROMPT) for word in way["command"]]
        command = start(words, environment, release.get("directory"))
        try:
            command.wait(limit)
        except subprocess.TimeoutExpired:
            stop(command)
        return
    way = run["ask"]
    headers = {}
    if "openai" in way:
        url = f"http://127.0.0.1:{port}{way['openai']}/chat/completions"
        body = {
            "model": way.get("model", config["model"]),
            "messages": [{"role": "user", "content": PROMPT}],
            "stream": mode == "stream",
        }
        if "key" in way:
            headers["authorization"] = f"Bearer {secret(config, way['key'])}"
    else:
        way = run["stream"] if mode == "stream" else way
        url = f"http://127.0.0.1:{port}{way['post']}"
        body = json.loads(json.dumps(way["json"]).replace("{prompt}", PROMPT))
    try:
        with httpx.stream("POST", url, json=body, headers=headers, timeout=limit) as response:
            until = time.monotonic() + limit
            for _ in response.iter_raw():
                if time.monotonic() > until:
                    break
    except httpx.HTTPError:
        pass


def environment_of(config: dict, release: dict, llmock_port: int, port: int) -> dict:
    values = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    placed = {
        "{tap}": f"http://127.0.0.1:{llmock_port}/v1",
        "{model}": config["model"],
        "{version}": str(release["version"]),
    }
    for name, value in release.get("env", {}).items():
        value = filled(str(value), port)
        for place, text in placed.items():
            value = value.replace(place, text)
        values[name] = value
    for name, source in release.get("secrets", {}).items():
        values[name] = secret(config, source)
    return values


def secret(config: dict, source: str) -> str:
    if source == "{key}":
        source = config["provider"]["key"]
    return pathlib.Path(source.removeprefix("file:")).read_text().strip()


def filled(text: str, port: int) -> str:
    return text.replace("{port}", str(port))


def start(words: list, environment: dict, directory: str | None) -> subprocess.Popen:
    return subprocess.Popen(
        [str(word) for word in words],
        env=environment,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def stop(process: subprocess.Popen) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def wait_for(condition, process: subprocess.Popen, limit: float, what: str) -> None:
    until = time.monotonic() + limit
    while time.monotonic() < until:
        if process.poll() is not None:
            raise SystemExit(f"{what} ended with {process.returncode}")
        try:
            if condition():
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.05)
    raise SystemExit(f"{what} was not ready within {limit} s")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


if __name__ == "__main__":
    sys.exit(main())
