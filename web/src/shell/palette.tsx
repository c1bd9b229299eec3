// One field for everything: pages, sessions by name or code, and every command that the caller may use.

import { useQuery } from "@tanstack/react-query";
import { type KeyboardEvent, useDeferredValue, useEffect, useMemo, useRef, useState } from "react";
import { useLocation } from "wouter";
import type { Operation } from "../api/operation";
import { agents, sessionsWhere } from "../api/queries";
import { Dialog } from "../parts/dialog";
import { Glyph, looks } from "../parts/status";
import { pages } from "./pages";
import { useTheme } from "./theme";
import { useHere } from "./who";

export interface Entry {
  id: string;
  group: string;
  text: string;
  rest?: string;
  mark?: React.ReactNode;
  act(): void;
}

/** Whether every word of what is typed stands in a text. */
export function fits(typed: string, text: string): boolean {
  const lower = text.toLowerCase();
  return typed
    .toLowerCase()
    .split(/\s+/)
    .every((word) => lower.includes(word));
}

const MOST = 60;

export function Palette(props: { search: boolean; onClose(): void; onCommand(operation: Operation): void }) {
  const { onClose, onCommand } = props;
  const [typed, setTyped] = useState("");
  const [at, setAt] = useState(0);
  const [operations, setOperations] = useState<readonly Operation[]>([]);
  const [, go] = useLocation();
  const here = useHere();
  const flip = useTheme((theme) => theme.flip);
  const list = useRef<HTMLUListElement>(null);
  const asked = useDeferredValue(typed.trim());
  const found = useQuery({
    ...sessionsWhere({ q: asked, limit: "12" }),
    enabled: asked !== "" && here.can({ role: "viewer", scope: "sessions:read" }),
  });
  const fleet = useQuery({ ...agents, enabled: here.can({ role: "viewer", scope: "agents:read" }) });

  useEffect(() => {
    void import("../api/operations.gen").then((all) => setOperations(all.operations));
  }, []);

  const entries = useMemo(() => {
    const to = (path: string) => () => {
      onClose();
      go(path);
    };
    const all: Entry[] = [];
    for (const session of asked ? (found.data?.items ?? []) : []) {
      all.push({
        id: session.id,
        group: "Sessions",
        text: `${session.code} ${session.title}`,
        rest: looks[session.status].word,
        mark: <Glyph status={session.status} />,
        act: to(`/sessions/${session.code}`),
      });
    }
    const plain: Entry[] = [];
    for (const page of pages) {
      if (here.can(page.need)) {
        plain.push({ id: page.path, group: "Pages", text: page.name, rest: `g ${page.key}`, act: to(page.path) });
      }
    }
    for (const agent of fleet.data ?? []) {
      plain.push({ id: agent.id, group: "Agents", text: agent.name, rest: agent.state, act: to(`/agents/${agent.id}`) });
    }
    for (const tenant of here.tenants) {
      if (tenant.id === here.tenant.id) continue;
      plain.push({
        id: tenant.id,
        group: "Tenants",
        text: `Go to ${tenant.name}`,
        rest: tenant.slug,
        act: () => {
          onClose();
          here.enter(tenant);
        },
      });
    }
    plain.push({
      id: "theme",
      group: "Here",
      text: "Switch between dark and light",
      rest: "t",
      act: () => {
        flip();
        onClose();
      },
    });
    if (!props.search || asked) {
      for (const operation of operations) {
        if (!here.can(operation)) continue;
        plain.push({
          id: operation.id,
          group: "Commands",
          text: operation.summary,
          rest: `${operation.method} ${operation.path.slice("/api/v1".length)}`,
          act: () => {
            onClose();
            onCommand(operation);
          },
        });
      }
    }
    return all.concat(plain.filter((entry) => fits(asked, `${entry.text} ${entry.rest ?? ""}`))).slice(0, MOST);
  }, [asked, found.data, fleet.data, operations, here, go, onClose, onCommand, flip, props.search]);

  const chosen = Math.min(at, entries.length - 1);
  useEffect(() => {
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  }, [chosen]);

  const press = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      setAt(Math.max(0, Math.min(entries.length - 1, chosen + step)));
    } else if (event.key === "Enter") {
      event.preventDefault();
      entries[chosen]?.act();
    }
  };

  return (
    <Dialog title={props.search ? "Search" : "Commands"} onClose={onClose} className="high wide" bare>
      <input
        className="palette-field"
        role="combobox"
        aria-label={props.search ? "Search sessions, agents, pages and commands" : "Command"}
        aria-expanded="true"
        aria-controls="palette-list"
        aria-activedescendant={entries[chosen] ? `palette-${chosen}` : undefined}
        placeholder={props.search ? "Session, code, agent, page …" : "What is to be done?"}
        value={typed}
        maxLength={200}
        autoComplete="off"
        spellCheck={false}
        onChange={(event) => {
          setTyped(event.target.value);
          setAt(0);
        }}
        onKeyDown={press}
      />
      <ul className="palette" id="palette-list" role="listbox" aria-label="Found" ref={list}>
        {entries.map((entry, index) => (
          <li
            key={`${entry.group}/${entry.id}`}
            id={`palette-${index}`}
            role="option"
            aria-selected={index === chosen}
            onClick={entry.act}
            onMouseMove={() => setAt(index)}
          >
            <span className="label palette-group">{entry.group}</span>
            {entry.mark}
            <span className="cut flex-1">{entry.text}</span>
            <span className="dim cut">{entry.rest}</span>
          </li>
        ))}
        {entries.length === 0 && <li className="dim">Nothing is called that.</li>}
      </ul>
    </Dialog>
  );
}
