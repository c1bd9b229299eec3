#!/usr/bin/env python3
"""odd-acp: an agent of the Agent Client Protocol that misbehaves on demand. Standard library only.

    odd-acp.py [BEFORE]

BEFORE says how it begins: deaf, garbage, exits, newer, noload, silent (a load that replays nothing),
modes, signin, nameless. The first word of a prompt says what it does with that prompt. Every start and
every line that it is told is appended to the file that $ODD_LOG names.
"""
import json
import os
import signal
import subprocess
import sys
import time

BEFORE = sys.argv[1] if len(sys.argv) > 1 else ""
LOG = os.environ.get("ODD_LOG")
OPTIONS = [("allow_always", "every time"), ("allow_always", "7"), ("reject_always", "never"),
           ("allow_once", "yes, 1"), ("reject_once", "no")]
CALL = {"toolCallId": "call-1", "title": "touch x", "kind": "execute", "rawInput": {"command": "touch x"}}


def log(text):
    if LOG:
        with open(LOG, "a", encoding="utf-8") as file:
            file.write(text + "\n")


def write(data):
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def send(**message):
    write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")


def update(kind, **fields):
    send(method="session/update", params={"sessionId": "s-1", "update": {"sessionUpdate": kind, **fields}})


def say(text, **more):
    update("agent_message_chunk", content={"type": "text", "text": text}, **more)


def read():
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    log(line.rstrip("\n"))
    return json.loads(line)


def ask(name, call, options=OPTIONS):
    options = [{"optionId": option, "kind": kind, "name": option} for kind, option in options]
    send(id=name, method="session/request_permission",
         params={"sessionId": "s-1", "toolCall": call, "options": options})


def answer_to(name):
    while True:
        message = read()
        if message.get("id") == name and "method" not in message:
            return message


def done(ask_id, reason="end_turn", **more):
    send(id=ask_id, result={"stopReason": reason, **more})


def prompt(ask_id, text):
    word = text.split()[0] if text.split() else ""
    if word == "exits":
        say("half a")
        sys.stderr.write("the disk is full, says " + os.environ.get("ODD_KEY", "") + "\n")
        sys.stderr.flush()
        sys.exit(3)
    elif word == "closes":
        say("half a")
        os.close(1)
        time.sleep(300)
    elif word in ("leaves", "haunts"):
        # Who is left keeps the output open, and carries nothing to be found by.
        left = ["sleep", "60"] if word == "leaves" else ["yes", '{"jsonrpc":"2.0","method":"x"}']
        say("half a")
        subprocess.Popen(["env", "-i", "setsid", *left])
        sys.exit(3)
    elif word == "line":
        while True:
            write(b"x" * 1_000_000)
    elif word == "garbage":
        while True:
            write(b"2026-01-01 INFO working\n")
    elif word == "talkative":
        for count in range(150):
            write(b"2026-01-01 INFO line %d\n" % count)
        say("Done.")
        done(ask_id)
    elif word == "bytes":
        write(b'{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s-1","update":'
              b'{"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"caf\xe9"}}}}\n')
        done(ask_id)
    elif word == "twice":
        say("One.")
        done(ask_id)
        done(ask_id, "refusal")
        send(id=ask_id, error={"code": -1, "message": "no"})
        send(id=999, result={"stopReason": "end_turn"})
    elif word == "unknown":
        update("weather_update", sky="blue")
        send(method="_vendor/ping", params={"x": 1})
        send(id="r-1", method="fs/write_text_file", params={"path": "/etc/passwd", "content": "x"})
        told = answer_to("r-1")
        send(id={"a": 1}, method="session/request_permission", params={})
        nameless = answer_to(None)
        say("%d %d" % (told["error"]["code"], nameless["error"]["code"]))
        done(ask_id)
    elif word == "asks":
        # The tool was never heard of before, and is told on after it was allowed.
        ask("p-1", CALL)
        chosen = answer_to("p-1")["result"]["outcome"]
        update("tool_call_update", toolCallId="call-1", status="completed", rawOutput={"output": "made"})
        say("chosen: " + chosen.get("optionId", chosen["outcome"]))
        done(ask_id)
    elif word == "always":
        ask(1, CALL, [("allow_always", "every time"), ("reject_once", "no")])
        chosen = answer_to(1)["result"]["outcome"]
        say("chosen: " + chosen.get("optionId", chosen["outcome"]))
        done(ask_id)
    elif word == "changes":
        ask(1, CALL)
        ask(1, {**CALL, "rawInput": {"command": "touch y"}})
        chosen = answer_to(1)["result"]["outcome"]
        say("chosen: " + chosen.get("optionId", chosen["outcome"]))
        done(ask_id)
    elif word == "withdraws":
        ask(5, CALL)
        time.sleep(0.2)
        send(method="$/cancel_request", params={"requestId": 5})
        answer_to(5)
        say("Never mind.")
        done(ask_id)
    elif word == "flood":
        for count in range(100_000):
            update("agent_thought_chunk", content={"type": "text", "text": "."})
        say("Enough.")
        done(ask_id)
    elif word == "many":
        for count in range(150):
            ask(count, {**CALL, "toolCallId": str(count), "rawInput": {"command": "touch %d" % count}})
        time.sleep(60)
    elif word == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        say("On it.")
        while True:
            read()
    elif word == "quota":
        say("Paid.", messageId="m1")
        say("Thanks.", messageId="m2")
        update("plan", entries=[{"content": "a", "status": "pending", "priority": "high"}])
        update("usage_update", used=5, size=9, cost={"amount": 0.25, "currency": "USD"})
        done(ask_id, _meta={"quota": {"token_count": {"input_tokens": 11, "output_tokens": 3}}})
    elif word == "stops":
        done(ask_id, text.split()[1])
    elif word == "fails":
        send(id=ask_id, error={"code": int(text.split()[1]), "message": " ".join(text.split()[2:])})
    else:
        say("heard: " + text)
        done(ask_id)


def main():
    log("started " + BEFORE)
    if BEFORE == "deaf":
        sys.stderr.write("thinking about it\n")
        sys.stderr.flush()
        time.sleep(300)
    if BEFORE == "exits":
        sys.stderr.write("usage: odd [--acp]\n")
        sys.exit(2)
    if BEFORE == "garbage":
        while True:
            write(b"Welcome! What shall we do today?\n")
    while True:
        message = read()
        method, name, params = message.get("method"), message.get("id"), message.get("params", {})
        if method == "initialize":
            version = 2 if BEFORE == "newer" else 1
            send(id=name, result={"protocolVersion": version,
                                  "agentCapabilities": {"loadSession": BEFORE != "noload"},
                                  "agentInfo": {"name": "odd", "version": "0.1"}})
        elif method == "session/new" and BEFORE == "signin":
            send(id=name, error={"code": -32000, "message": "Authentication required"})
        elif method == "session/new":
            result = {} if BEFORE == "nameless" else {"sessionId": "s-1"}
            if BEFORE == "modes":
                result["modes"] = {"currentModeId": "ask", "availableModes": [{"id": "ask"}, {"id": "code"}]}
                result["models"] = {"currentModelId": "small", "availableModels": [
                    {"modelId": "small"}, {"modelId": "large"}]}
            send(id=name, result=result)
        elif method == "session/load":
            if BEFORE != "silent":
                for kind in ("user_message_chunk", "agent_message_chunk"):
                    update(kind, content={"type": "text", "text": "old words"})
            send(id=name, result=None)
        elif method == "session/prompt":
            prompt(name, "\n".join(part["text"] for part in params["prompt"]))
        elif name is not None and method:
            send(id=name, result={})


main()
