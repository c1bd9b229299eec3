// The one connection that everything live comes over.
//
// It asks for what is behind the last event that was taken, so that a break is made up for by the
// server; it asks for a sign of life more often than it doubts one.

import type { StreamEvent } from "../api/types";

/** How many events of before are asked for at first. */
const BACKFILL = 2000;
/** How often a sign of life is asked for, in milliseconds. */
const BEAT = 4000;
/** Longest wait before another try, in milliseconds. */
const LONGEST_WAIT = 5000;

interface Frame {
  type: string;
  seq: number | null;
  subject: { kind: string; id: string } | null;
  payload: Record<string, unknown> | null;
  timestamp: string;
}

export interface Listener {
  /** The number of the last event that was taken; 0 before the first. */
  after(): number;
  established(head: number): void;
  event(event: StreamEvent): void;
  /** What is never stored: words of an agent and lines of its log, as they come. */
  passing(type: string, session: string, payload: Record<string, unknown>): void;
  standing(head: number, position: number | null): void;
  gap(oldest: number): void;
  refused(why: string): void;
  lost(attempt: number): void;
}

export class Stream {
  private socket: WebSocket | null = null;
  private attempt = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private beat: ReturnType<typeof setInterval> | undefined;
  private over = false;
  private heard = 0;
  private rooms = new Map<string, number>();

  constructor(
    private readonly tenant: string | null,
    private readonly listener: Listener,
  ) {
    addEventListener("online", this.hurry);
    this.open();
  }

  /** Listens to one session's words too, until what is given back is called. */
  join(room: string): () => void {
    const count = this.rooms.get(room) ?? 0;
    this.rooms.set(room, count + 1);
    if (count === 0) this.send({ type: "subscribe", rooms: [room] });
    return () => {
      const left = (this.rooms.get(room) ?? 1) - 1;
      if (left > 0) this.rooms.set(room, left);
      else {
        this.rooms.delete(room);
        this.send({ type: "unsubscribe", rooms: [room] });
      }
    };
  }

  close(): void {
    this.over = true;
    removeEventListener("online", this.hurry);
    clearTimeout(this.timer);
    clearInterval(this.beat);
    this.socket?.close();
  }

  private readonly hurry = () => {
    if (this.socket?.readyState === WebSocket.OPEN) return;
    clearTimeout(this.timer);
    this.open();
  };

  private send(frame: unknown): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(frame));
  }

  private open(): void {
    if (this.over) return;
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const tenant = this.tenant ? `?tenant=${encodeURIComponent(this.tenant)}` : "";
    const socket = new WebSocket(`${scheme}//${location.host}/ws/events${tenant}`);
    this.socket = socket;
    socket.onmessage = (message: MessageEvent<string>) => {
      this.heard = Date.now();
      this.hear(JSON.parse(message.data) as Frame);
    };
    socket.onclose = () => {
      if (this.socket !== socket) return;
      clearInterval(this.beat);
      if (this.over) return;
      this.attempt += 1;
      this.listener.lost(this.attempt);
      const wait = Math.min(LONGEST_WAIT, 250 * 2 ** Math.min(this.attempt, 6));
      this.timer = setTimeout(() => this.open(), wait * (0.75 + Math.random() / 2));
    };
  }

  private begin(head: number): void {
    this.attempt = 0;
    this.listener.established(head);
    const known = this.listener.after();
    const after = known > 0 ? known : Math.max(0, head - BACKFILL);
    this.send({ type: "subscribe", rooms: ["events"], after });
    const others = [...this.rooms.keys()];
    if (others.length > 0) this.send({ type: "subscribe", rooms: others });
    this.ping();
    clearInterval(this.beat);
    this.beat = setInterval(() => {
      // A connection that says nothing any more is none, whatever the browser believes.
      if (Date.now() - this.heard > BEAT * 3) this.socket?.close();
      else this.ping();
    }, BEAT);
  }

  private ping(): void {
    this.send({ type: "ping" });
  }

  private hear(frame: Frame): void {
    const payload = frame.payload ?? {};
    const number = (name: string) => (typeof payload[name] === "number" ? payload[name] : null);
    switch (frame.type) {
      case "connection.established":
        return this.begin(number("head_seq") ?? 0);
      case "pong":
      case "heartbeat":
        return this.listener.standing(number("head_seq") ?? 0, number("position"));
      case "gap":
        return this.listener.gap(number("oldest") ?? number("oldest_available") ?? 0);
      case "error": {
        const { code, message } = payload;
        if (code === "FORBIDDEN") this.listener.refused(String(message));
        return;
      }
      case "subscription.confirmed":
      case "system.stats":
        return;
      default:
        break;
    }
    if (frame.seq !== null && frame.subject) {
      this.listener.event({
        seq: frame.seq,
        type: frame.type,
        subject: frame.subject,
        timestamp: frame.timestamp,
        payload,
      });
    } else if (frame.subject) {
      this.listener.passing(frame.type, frame.subject.id, payload);
    }
  }
}
