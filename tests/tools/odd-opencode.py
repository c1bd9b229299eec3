#!/usr/bin/env python3
"""odd-opencode: a server that speaks as much of OpenCode's interface as a run needs, and misbehaves on demand.
Standard library only.

    odd-opencode.py serve …

Conversations lie in $XDG_DATA_HOME, so that another server on the same folder goes on with them. The first word
of a prompt says what the server does that is given it first; every later one answers it:

    hang      nothing is answered any more
    closed    no connection is taken any more, and those that there are end
    exit      the process ends
    waits     nothing comes until it is aborted
    busy      a tool runs for ever, an abort is taken and not heeded
    anything else: answered

An answer names the number of the server that gave it, counted from one for each folder. Every prompt that was
worked on to its end is appended to $XDG_DATA_HOME/answers.log.
"""
import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

DATA = os.environ["XDG_DATA_HOME"]
LOCK = threading.RLock()
HUNG = threading.Event()
CLOSED = threading.Event()
BUSY = set()
WAITING = set()


def path(name):
    return os.path.join(DATA, name)


def load(name, default):
    try:
        with open(path(name), encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return default


def store(name, value):
    with open(path(name + ".new"), "w", encoding="utf-8") as file:
        json.dump(value, file)
    os.replace(path(name + ".new"), path(name))


with LOCK:
    LIFE = load("lives.json", 0) + 1
    store("lives.json", LIFE)


def messages_of(session):
    return load(session + ".json", [])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, value, status=200):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def body(self):
        length = int(self.headers.get("content-length") or 0)
        return json.loads(self.rfile.read(length) or b"{}")

    def do_any(self):
        if HUNG.is_set():
            threading.Event().wait()
        if not self.headers.get("authorization"):
            return self.answer({}, 401)
        url = urlparse(self.path)
        words = [word for word in url.path.split("/") if word]
        body = self.body() if self.command in ("POST", "PATCH") else {}
        return self.route(words, body, parse_qs(url.query))

    do_GET = do_POST = do_PATCH = do_DELETE = do_any

    def route(self, words, body, query):
        match (self.command, words):
            case ("GET", ["global", "health"]):
                self.answer({"healthy": True, "version": "1.18.33"})
            case ("GET", ["event"]):
                self.events()
            case ("GET", ["config", "providers"]):
                self.answer({"providers": [{"id": "lab", "models": {"odd": {}}}], "default": {"lab": "odd"}})
            case ("GET", ["config"]):
                self.answer({"model": "lab/odd"})
            case ("GET", ["session"]):
                self.answer([])
            case ("POST", ["session"]):
                with LOCK:
                    number = load("count.json", 0) + 1
                    store("count.json", number)
                self.answer({"id": f"ses_{number}", "permission": body.get("permission")})
            case ("GET", ["session", "status"]):
                self.answer({session: {"type": "busy"} for session in BUSY})
            case ("GET", ["session", session, "message"]):
                self.answer(messages_of(session))
            case ("POST", ["session", session, "message"]):
                self.prompt(session, body)
            case ("GET", ["session", _, "children"]) | ("GET", ["permission" | "question" | "agent"]):
                self.answer([])
            case ("POST", ["session", session, "abort"]):
                if session in WAITING:
                    BUSY.discard(session)
                self.answer(True)
            case (_, ["session", session]):
                self.answer({"id": session})
            case _:
                self.answer(True)

    def events(self):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(b'data: {"type":"server.connected"}\n\n')
        self.wfile.flush()
        while not CLOSED.wait(1):
            if not HUNG.is_set():
                self.wfile.write(b'data: {"type":"server.heartbeat"}\n\n')
                self.wfile.flush()
        self.close_connection = True

    def prompt(self, session, body):
        text = body["parts"][0]["text"]
        asked, word = body["messageID"], text.split()[0]
        with LOCK:
            known = messages_of(session)
            first = not any(message["info"]["id"] == asked for message in known)
            if first:
                info = {"id": asked, "sessionID": session, "role": "user", "time": {}}
                known.append({"info": info, "parts": [{"id": "p" + asked, "type": "text", "text": text}]})
                store(session + ".json", known)
        BUSY.add(session)
        if first:
            self.misbehave(word, session, asked)
        done = [message for message in known if message["info"].get("parentID") == asked and
                message["info"].get("finish")]
        if not done:
            now = int(time.time() * 1000)
            said = {"id": "t" + asked, "type": "text", "text": f"Answered by server {LIFE}.",
                    "time": {"start": now, "end": now}}
            info = {"id": "msg_a" + asked, "sessionID": session, "role": "assistant", "parentID": asked,
                    "finish": "stop", "time": {"created": now, "completed": now}}
            with LOCK:
                store(session + ".json", messages_of(session) + [{"info": info, "parts": [said]}])
                with open(path("answers.log"), "a", encoding="utf-8") as file:
                    file.write(word + "\n")
        BUSY.discard(session)
        self.answer({})

    def misbehave(self, word, session, asked):
        if word == "hang":
            HUNG.set()
            threading.Event().wait()
        if word == "closed":
            CLOSED.set()
            SERVER.socket.close()
            os.close(self.connection.detach())
            threading.Event().wait()
        if word == "exit":
            os._exit(3)
        if word == "waits":
            WAITING.add(session)
            threading.Event().wait()
        if word == "busy":
            part = {"id": "c" + asked, "sessionID": session, "messageID": "msg_b" + asked, "type": "tool",
                    "tool": "bash", "state": {"status": "running", "input": {"command": "sleep"}}}
            info = {"id": "msg_b" + asked, "sessionID": session, "role": "assistant", "parentID": asked,
                    "time": {"created": 1}}
            with LOCK:
                store(session + ".json", messages_of(session) + [{"info": info, "parts": [part]}])
            threading.Event().wait()


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


SERVER = Server(("127.0.0.1", 0), Handler)
print(f"opencode server listening on http://127.0.0.1:{SERVER.server_port}", flush=True)
while True:
    try:
        SERVER.serve_forever()
    except (OSError, ValueError):
        # Its socket was closed on purpose; the process stays.
        threading.Event().wait()
