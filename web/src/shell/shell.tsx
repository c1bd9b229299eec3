// What stands around every page: rail, top bar, keys, and what opens before the page.

import { type ReactNode, useCallback, useEffect, useRef, useState } from "react";
import { useLocation } from "wouter";
import { tell } from "../api/client";
import type { Operation } from "../api/operation";
import { Andon } from "./andon";
import { ConnectionState } from "./connection";
import { Help } from "./help";
import { useKeys } from "./keys";
import { Palette } from "./palette";
import { pages } from "./pages";
import { Rail } from "./rail";
import { Runner } from "./runner";
import { SpendRate } from "./spend";
import { useTheme } from "./theme";
import { useHere } from "./who";

type Open = { what: "search" | "commands" | "help" } | { what: "run"; operation: Operation } | null;

function TenantChoice() {
  const { tenant, tenants, enter, who } = useHere();
  if (tenants.length < 2) {
    return (
      <span className="tenant" title={`${who.name}, ${who.role}`}>
        {tenant.name}
      </span>
    );
  }
  return (
    <select
      className="field tenant"
      aria-label="Tenant"
      value={tenant.id}
      onChange={(event) => {
        const chosen = tenants.find((one) => one.id === event.target.value);
        if (chosen) enter(chosen);
      }}
    >
      {tenants.map((one) => (
        <option key={one.id} value={one.id}>
          {one.name}
        </option>
      ))}
    </select>
  );
}

function Person() {
  const { who } = useHere();
  const leave = async () => {
    await tell("POST", "/logout");
    location.replace("/login");
  };
  return (
    <details className="person">
      <summary>
        <span className="sr">Signed in as</span>
        <span className="cut">{who.user?.full_name || who.name}</span>
        <span className="tag">{who.role}</span>
      </summary>
      <div className="person-menu panel">
        <p className="cut">{who.user?.email ?? who.name}</p>
        <p className="dim">{who.is_system ? "administrator of the system" : `${who.role} of ${who.tenant_name}`}</p>
        <button type="button" className="button" onClick={() => void leave()}>
          Sign out
        </button>
      </div>
    </details>
  );
}

export function Shell({ children }: { children: ReactNode }) {
  const [open, setOpen] = useState<Open>(null);
  const [path, go] = useLocation();
  const { can, tenant } = useHere();
  const { theme, flip } = useTheme();
  const going = useRef(0);
  const main = useRef<HTMLElement>(null);
  const close = useCallback(() => setOpen(null), []);
  const run = useCallback((operation: Operation) => setOpen({ what: "run", operation }), []);

  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "k") return;
      event.preventDefault();
      setOpen((now) => (now?.what === "commands" ? null : { what: "commands" }));
    };
    addEventListener("keydown", listen);
    return () => removeEventListener("keydown", listen);
  }, []);

  // `g`, then the letter of a page within a second; the letter alone means what the page says.
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (Date.now() - going.current > 1000 || event.ctrlKey || event.metaKey) return;
      going.current = 0;
      const page = pages.find((one) => one.key === event.key && can(one.need));
      if (!page || document.querySelector("dialog[open]")) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      go(page.path);
    };
    addEventListener("keydown", listen, true);
    return () => removeEventListener("keydown", listen, true);
  }, [can, go]);

  useKeys({
    g: () => {
      going.current = Date.now();
    },
    "/": () => setOpen({ what: "search" }),
    "?": () => setOpen({ what: "help" }),
    t: flip,
  });

  const title = pages.find((page) => (page.path === "/" ? path === "/" : path.startsWith(page.path)))?.name;
  useEffect(() => {
    document.title = `${title ?? "Not found"} · ${tenant.name} · Industrial Orchestrator`;
    main.current?.scrollTo(0, 0);
  }, [title, tenant.name]);

  return (
    <div className="shell">
      <a className="skip" href="#main">
        To the page
      </a>
      <header className="top">
        <a className="brand" href="/" aria-label="Industrial Orchestrator">
          <svg width="20" height="20" viewBox="0 0 16 16" aria-hidden="true">
            <path d="M1 1h14v14H1zM4 11V5M8 11V8M12 11V3" fill="none" stroke="var(--live)" strokeWidth="1.5" />
          </svg>
          <span className="brand-name">Orchestrator</span>
        </a>
        <TenantChoice />
        <button type="button" className="search" onClick={() => setOpen({ what: "search" })}>
          <span>Search</span>
          <kbd className="key">/</kbd>
        </button>
        <button type="button" className="button plain palette-button" onClick={() => setOpen({ what: "commands" })}>
          <span>Commands</span>
          <kbd className="key">ctrl k</kbd>
        </button>
        <span className="grow" />
        <SpendRate />
        <ConnectionState />
        <Andon />
        <button
          type="button"
          className="button plain"
          onClick={flip}
          aria-label={theme === "dark" ? "Light theme" : "Dark theme"}
        >
          <svg width="14" height="14" viewBox="0 0 14 14" aria-hidden="true">
            <path d="M1 1h12v12H1z" fill="none" stroke="currentColor" />
            <path d="M1 1h6v12H1z" fill="currentColor" />
          </svg>
        </button>
        <Person />
      </header>
      <Rail />
      <main id="main" className="main" ref={main} tabIndex={-1}>
        {children}
      </main>
      {(open?.what === "search" || open?.what === "commands") && (
        <Palette key={open.what} search={open.what === "search"} onClose={close} onCommand={run} />
      )}
      {open?.what === "run" && <Runner operation={open.operation} onClose={close} />}
      {open?.what === "help" && <Help onClose={close} />}
    </div>
  );
}
