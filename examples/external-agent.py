#!/usr/bin/env python3
"""An agent that is called over the External Agent Protocol: plain Python 3, nothing else.

    ORCHESTRATOR_KEY=... python3 examples/external-agent.py --name AGENT-PY -- wc -w

Its work is the command behind --, which gets the input of each assignment on its standard input; what it
prints is the output, and its exit code tells whether it succeeded. Without a command, words are counted.

What is done quickly is answered at once (200). Longer work is accepted (202), and its result is brought
later. Who the agent is, and what it accepted, lies in a file: started again it goes on as the same agent.
"""

import argparse
import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CLOCK_SKEW = 300  # seconds that a signature may be old, or new
MOST_BODY = 8 * 1024 * 1024
MOST_OUTPUT = 1024 * 1024
MOST_REMEMBERED = 1000  # assignments whose repetition is recognised


def say(*words):
    print(*words, file=sys.stderr, flush=True)


class Memory:
    """What outlives the process: written in one step, readable for nobody else."""

    def __init__(self, path):
        self.path, self.lock = path, threading.Lock()
        try:
            with open(path, encoding="utf-8") as file:
                self.values = json.load(file)
        except (OSError, ValueError):
            self.values = {}

    def get(self, name, default=None):
        with self.lock:
            return self.values.get(name, default)

    def change(self, change):
        with self.lock:
            change(self.values)
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            with open(os.open(self.path + ".new", flags, 0o600), "w", encoding="utf-8") as file:
                json.dump(self.values, file)
            os.replace(self.path + ".new", self.path)


class Work:
    """One assignment, however often it is brought."""

    def __init__(self, assignment):
        self.assignment = assignment
        self.key = assignment["idempotency_key"]
        self.done = threading.Event()
        self.lock = threading.Lock()
        self.result = None
        self.is_async = False  # it was answered with 202: the result is brought
        self.is_brought = False
        self.is_cancelled = False
        self.process = None

    def cancel(self):
        with self.lock:
            self.is_cancelled = True
        self.kill()

    def kill(self):
        """Ends the command with everything that it started."""
        if self.process:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def is_settled(self):
        return self.is_cancelled or (self.is_brought if self.is_async else self.done.is_set())

    def ended(self, status, **more):
        return {
            "task_id": self.assignment["task_id"],
            "fencing_token": self.assignment["fencing_token"],
            "status": status,
            **more,
        }


class Agent:
    def __init__(self, options):
        self.options = options
        self.memory = Memory(options.state)
        self.works = OrderedDict()
        self.lock = threading.Lock()
        self.closing = threading.Event()
        self.interval = 30
        self.asks_again_at = 0.0

    # --- what it says to the orchestrator

    def call(self, method, path, body=None, headers=None, timeout=60):
        """One call: status, Retry-After and what was said. Raises OSError when nobody answers."""
        url = f"{self.options.url.rstrip('/')}/api/v1/agents/external/{path}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, method=method)
        request.add_header("Content-Type", "application/json")
        if headers is None:
            headers = {"X-Agent-Token": self.memory.get("auth_token", "")}
        for name, value in headers.items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                status, after, text = answer.status, None, answer.read()
        except urllib.error.HTTPError as error:
            status, after, text = error.code, error.headers.get("Retry-After"), error.read()
        return status, after, json.loads(text) if text else None

    def insist(self, method, path, body=None):
        """Repeats a call until there is an answer that says something, or the agent ends."""
        wait = 1.0
        while True:
            pause = wait
            try:
                status, after, said = self.call(method, f"{self.memory.get('agent_id')}/{path}", body)
                if status != 429 and status < 500:
                    return status, said
                pause = float(after) if after and after.isdigit() else wait
                say(f"{path}: {status}; trying again")
            except (OSError, ValueError) as error:
                say(f"{path}: {error}; trying again")
            if self.closing.wait(pause):
                return None, None
            wait = min(wait * 2, 30.0)

    def register(self):
        """Registers, or says anew what it is; also tells by which token the orchestrator is known."""
        headers = {}
        if self.memory.get("auth_token"):
            headers["X-Agent-Token"] = self.memory.get("auth_token")
        elif self.options.key:
            headers["Authorization"] = f"Bearer {self.options.key}"
            if self.options.tenant:
                headers["X-Tenant-ID"] = self.options.tenant
        body = {
            "protocol_version": "1.0",
            "name": self.options.name,
            "capabilities": self.options.capability or ["testing"],
            "endpoint_url": self.options.public_url,
            "metadata": {"max_concurrent_capacity": self.options.at_once},
        }
        status, _, said = self.call("POST", "register", body, headers, timeout=5)
        if status not in (200, 201):
            return status, said
        self.interval = said.get("heartbeat_interval_seconds", 30)

        def note(values):
            for name in ("agent_id", "auth_token", "dispatch_token"):
                if said.get(name):
                    values[name] = said[name]

        self.memory.change(note)
        return status, said

    def heed_notices(self):
        """Somebody may have replaced the token: a called agent hears of it when it asks."""
        while not self.closing.wait(self.interval):
            status, notice = self.insist("GET", "tasks/next?wait=0&notices=true")
            kind = (notice or {}).get("kind")
            if status == 200 and kind == "rotate_token":
                self.rotate()
            elif status == 200 and kind == "task":
                self.accept(notice, is_async=True)
            elif status in (401, 404):
                say("the orchestrator does not know this agent any more")

    def rotate(self):
        status, said = self.insist("POST", "rotate-token")
        if status == 200:
            self.memory.change(lambda values: values.update(
                auth_token=said["auth_token"], dispatch_token=said["dispatch_token"]))
            say("the token was replaced")

    # --- who calls it

    def knows(self, token):
        """Whether this is the token by which the orchestrator shows that it is the one.

        It changes when somebody replaces the agent's own token. Then it is asked for, not too often.
        """
        known = self.memory.get("dispatch_token") or ""
        if hmac.compare_digest(known.encode(), token.encode()):
            return True
        with self.lock:
            if time.monotonic() < self.asks_again_at:
                return False
            self.asks_again_at = time.monotonic() + 10
        try:
            self.register()
        except (OSError, ValueError):
            return False
        known = self.memory.get("dispatch_token") or ""
        return hmac.compare_digest(known.encode(), token.encode())

    def is_signed(self, header, body):
        """t=<unix>,v1=<hex of HMAC-SHA256 over "t.body" with the dispatch token>"""
        parts = dict(part.split("=", 1) for part in header.split(",") if "=" in part)
        try:
            is_fresh = abs(time.time() - int(parts.get("t", ""))) <= CLOCK_SKEW
        except ValueError:
            return False
        key = (self.memory.get("dispatch_token") or "").encode()
        signed = hmac.new(key, f"{parts['t']}.".encode() + body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(signed.encode(), parts.get("v1", "").encode()) and is_fresh

    # --- its work

    def accept(self, assignment, is_async=False):
        """The work of this assignment, begun now unless it was before."""
        key = assignment["idempotency_key"]
        with self.lock:
            work = self.works.get(key)
            if work is None:
                work = self.works[key] = Work(assignment)
                work.is_async = is_async
                for old in [key for key, one in self.works.items() if one.done.is_set()]:
                    if len(self.works) <= MOST_REMEMBERED:
                        break
                    del self.works[old]
                threading.Thread(target=self.carry_out, args=(work,), daemon=True).start()
        return work

    def in_progress(self):
        with self.lock:
            return sum(not work.is_settled() for work in self.works.values())

    def carry_out(self, work):
        began = time.monotonic()
        try:
            result = self.run(work)
        except OSError as error:
            result = work.ended("failed", error_message=str(error))
        result["execution_time_ms"] = int((time.monotonic() - began) * 1000)
        with work.lock:
            work.result = result
            work.done.set()
            is_brought = work.is_async and not work.is_cancelled
        if is_brought:
            self.bring(work)

    def run(self, work):
        text = work.assignment.get("input_data", work.assignment.get("input", ""))
        if not self.options.command:
            count = len(text.split())
            output = {"text": f"{count} words", "words": count, "lines": len(text.splitlines())}
            return work.ended("completed", output_data=output)
        environment = {k: v for k, v in os.environ.items() if k != "ORCHESTRATOR_KEY"}
        with work.lock:
            if work.is_cancelled:
                return work.ended("failed", error_message="it was cancelled")
            work.process = subprocess.Popen(
                self.options.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, env=environment, start_new_session=True)
        try:
            limit = work.assignment.get("timeout_seconds", 3600)
            out, err = work.process.communicate(text.encode(), timeout=limit)
        except subprocess.TimeoutExpired:
            work.kill()
            return work.ended("failed", error_message="it did not end in time")
        output = out[:MOST_OUTPUT].decode("utf-8", "replace").rstrip()
        if work.process.returncode == 0:
            return work.ended("completed", output_data={"text": output})
        told = err[-2000:].decode("utf-8", "replace").strip()
        why = f"{self.options.command[0]} ended with {work.process.returncode}: {told}"
        return work.ended("failed", error_message=why)

    def answer_later(self, work):
        """From now on the result is brought; it is kept over a restart what was accepted."""
        self.memory.change(
            lambda values: values.setdefault("accepted", {}).update({work.key: work.assignment}))
        with work.lock:
            work.is_async = True
            is_done = work.done.is_set()
        if is_done:
            threading.Thread(target=self.bring, args=(work,), daemon=True).start()

    def bring(self, work):
        status, said = self.insist("POST", f"tasks/{work.assignment['task_id']}/result", work.result)
        say(f"{work.key}: {status} {said}")
        if status is not None:
            work.is_brought = True
            self.forget(work.key)

    def forget(self, key):
        self.memory.change(lambda values: values.get("accepted", {}).pop(key, None))


class Door(BaseHTTPRequestHandler):
    """What the orchestrator calls."""

    server_version = "external-agent-example/1.0"
    protocol_version = "HTTP/1.1"
    agent = None

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def below(self):
        """What is called, without the part of the agent's own address."""
        return self.path.split("?")[0].removeprefix(self.agent.options.base)

    def do_GET(self):
        if not self.agent.knows(self.headers.get("X-Agent-Token", "")):
            return self.answer(401, {"error": "X-Agent-Token is not the dispatch token"})
        if self.below() != "/health":
            return self.answer(404, {"error": "not found"})
        count = self.agent.in_progress()
        load = min(count / self.agent.options.at_once, 1.0)
        status = "busy" if count >= self.agent.options.at_once else "healthy"
        beat = {"status": status, "current_load": load, "tasks_in_progress": count}
        return self.answer(200, beat)

    def do_POST(self):
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MOST_BODY:
            self.close_connection = True
            return self.answer(413, {"error": "a body with a length of at most 8 MiB is needed"})
        body = self.rfile.read(int(length))
        if not self.agent.knows(self.headers.get("X-Agent-Token", "")):
            return self.answer(401, {"error": "X-Agent-Token is not the dispatch token"})
        if not self.agent.is_signed(self.headers.get("X-Orchestrator-Signature", ""), body):
            return self.answer(401, {"error": "X-Orchestrator-Signature does not fit"})
        try:
            said = json.loads(body)
            parts = self.below().strip("/").split("/")
            if parts == ["task"]:
                return self.task(said)
            if len(parts) == 3 and parts[0] == "task" and parts[2] == "cancel":
                return self.cancel(f"{parts[1]}:{said.get('fencing_token')}")
        except (ValueError, KeyError, AttributeError) as error:
            return self.answer(400, {"error": f"not readable: {error!r}"})
        return self.answer(404, {"error": "not found"})

    def task(self, assignment):
        assignment["idempotency_key"] = self.headers.get("Idempotency-Key") or assignment["idempotency_key"]
        if self.agent.closing.is_set():
            return self.answer(503, {"error": "the agent ends"})
        is_new = assignment["idempotency_key"] not in self.agent.works
        if is_new and self.agent.in_progress() >= self.agent.options.at_once:
            return self.answer(429, {"error": "no room"})
        work = self.agent.accept(assignment)
        if not work.is_async and work.done.wait(self.agent.options.sync_seconds):
            return self.answer(200, work.result)
        if work.is_async and work.done.is_set():
            return self.answer(200, work.result)
        self.agent.answer_later(work)
        return self.answer(202, {"accepted": True})

    def cancel(self, key):
        with self.agent.lock:
            work = self.agent.works.get(key)
        if work is None:
            return self.answer(404, {"error": "no such work"})
        work.cancel()
        self.agent.forget(key)
        return self.answer(200, {"cancelled": True})


def read_options():
    parser = argparse.ArgumentParser(description="An agent that is called, over the External Agent Protocol.")
    env = os.environ.get
    parser.add_argument("--url", default=env("ORCHESTRATOR_URL", "http://127.0.0.1:8000"))
    parser.add_argument("--key", default=env("ORCHESTRATOR_KEY"), help="needed the first time only")
    parser.add_argument("--tenant", default=env("ORCHESTRATOR_TENANT"))
    parser.add_argument("--name", default="AGENT-EXAMPLE-PUSH")
    parser.add_argument("--capability", action="append", help="repeatable; testing when omitted")
    parser.add_argument("--listen", default="127.0.0.1:9000", help="port 0 takes a free one")
    parser.add_argument("--public-url", help="as the orchestrator calls it; http://LISTEN when omitted")
    parser.add_argument("--at-once", type=int, default=2, help="pieces of work at once")
    parser.add_argument("--sync-seconds", type=float, default=5.0, help="longer work is answered with 202")
    parser.add_argument("--grace", type=float, default=20.0, help="seconds for ending what it works on")
    parser.add_argument("--state", default="external-agent-push.json", help="where it keeps who it is")
    parser.add_argument("command", nargs="*", help="the program and its arguments, after --")
    return parser.parse_args()


def main():
    options = read_options()
    host, port = options.listen.rsplit(":", 1)
    agent = Door.agent = Agent(options)
    server = ThreadingHTTPServer((host, int(port)), Door)
    server.daemon_threads = True
    options.public_url = (options.public_url or f"http://{host}:{server.server_port}").rstrip("/")
    options.base = urllib.parse.urlsplit(options.public_url).path
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: agent.closing.set())
    # It may be asked how it is as soon as it is registered.
    threading.Thread(target=server.serve_forever, daemon=True).start()
    wait = 1.0
    while not agent.closing.is_set():
        try:
            status, said = agent.register()
            if status in (200, 201):
                break
            if status != 429 and status < 500:
                sys.exit(f"not registered: {status} {said}")
            say(f"not registered yet: {status}")
        except (OSError, ValueError) as error:
            say(f"not registered yet: {error}")
        agent.closing.wait(wait)
        wait = min(wait * 2, 30.0)
    say(f"{options.name} is agent {agent.memory.get('agent_id')}, called at {options.public_url}")
    for assignment in list(agent.memory.get("accepted", {}).values()):
        agent.accept(assignment, is_async=True)
    threading.Thread(target=agent.heed_notices, daemon=True).start()
    agent.closing.wait()
    until = time.monotonic() + options.grace
    while agent.in_progress() and time.monotonic() < until:
        time.sleep(0.1)
    for work in list(agent.works.values()):
        if not work.done.is_set() and not work.is_cancelled:
            body = {"fencing_token": work.assignment["fencing_token"], "reason": "the agent ends"}
            path = f"{agent.memory.get('agent_id')}/tasks/{work.assignment['task_id']}/nack"
            try:
                say(f"{work.key}: given back: {agent.call('POST', path, body, timeout=10)[0]}")
                agent.forget(work.key)
            except OSError as error:
                say(f"{work.key}: not given back: {error}")
            work.cancel()
    time.sleep(0.2)  # for answers that are just being written
    say("ended")


if __name__ == "__main__":
    main()
