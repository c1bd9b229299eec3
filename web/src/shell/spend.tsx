import { useMemo } from "react";
import type { StreamEvent } from "../api/types";
import { useLive } from "../live/store";
import { useNow } from "../parts/basics";
import { money } from "../parts/format";

const HOUR = 3_600_000;

/** What was spent from a moment on, by what the stream told; simulated money apart. */
export function spentSince(events: readonly StreamEvent[], from: number) {
  let real = 0;
  let simulated = 0;
  let unpriced = 0;
  for (let index = events.length - 1; index >= 0; index -= 1) {
    const event = events[index];
    if (!event) continue;
    if (Date.parse(event.timestamp) < from) break;
    if (event.type !== "usage.recorded") continue;
    const cost = event.payload.cost_usd;
    if (typeof cost !== "number") unpriced += 1;
    else if (event.payload.simulated === true) simulated += cost;
    else real += cost;
  }
  return { real, simulated, unpriced };
}

/** Money that went in the last hour. */
export function SpendRate() {
  const now = useNow(2000);
  const spent = useMemo(() => spentSince(useLive.getState().feed.events, now - HOUR), [now]);
  const isSimulated = spent.real === 0 && spent.simulated > 0;
  return (
    <span className="spend">
      <span className="label">last hour</span>
      <span>{money(isSimulated ? spent.simulated : spent.real)}</span>
      {isSimulated && <span className="provenance">sim</span>}
      {spent.unpriced > 0 && <span className="tag">{spent.unpriced} unpriced</span>}
    </span>
  );
}
