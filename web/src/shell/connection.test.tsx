import { act, cleanup, render, screen } from "@testing-library/react";
import { afterEach, expect, it } from "vitest";
import { type Feed, silent } from "../live/feed";
import { useLive } from "../live/store";
import { Status, statuses } from "../parts/status";
import { ConnectionState } from "./connection";

afterEach(cleanup);

const tell = (feed: Partial<Feed>) => act(() => useLive.setState({ feed: { ...silent, ...feed } }));

it("the state of the connection is what the numbers say", () => {
  render(<ConnectionState />);
  const words = () => screen.getByRole("status").textContent;
  expect(words()).toBe("connecting");
  tell({ connection: { state: "live" }, seq: 7, head: 7, heard: Date.now() });
  expect(words()).toBe("live, 0 behind");
  tell({ connection: { state: "live" }, seq: 7, head: 9, heard: Date.now() });
  expect(words()).toBe("catching up, 2 behind");
  tell({ connection: { state: "reconnecting", since: Date.now(), attempt: 1 }, seq: 6, head: 20, heard: Date.now() });
  expect(words()).toBe("reconnecting, 14 behind");
  tell({ connection: { state: "live" }, seq: 7, head: 7, heard: Date.now() - 60_000 });
  expect(words()).toMatch(/^stale since \d\d:\d\d:\d\d$/);
});

it("a status is always colour, glyph and word, and no two look the same", () => {
  const drawn = new Set<string>();
  const said = new Set<string>();
  for (const status of statuses) {
    const { container } = render(<Status status={status} />);
    const path = container.querySelector("path");
    expect(path?.getAttribute("stroke")).toBe(`var(--status-${status})`);
    drawn.add(path?.getAttribute("d") ?? "");
    said.add(container.textContent ?? "");
    cleanup();
  }
  expect([drawn.size, said.size, said.has("")]).toEqual([12, 12, false]);
});
