import { truth } from "../live/feed";
import { useLive } from "../live/store";
import { useNow } from "../parts/basics";
import { clock } from "../parts/format";

const paints = {
  live: "var(--live)",
  behind: "var(--warn)",
  stale: "var(--bad)",
  off: "var(--edge)",
};

/** What is true of the connection. */
export function ConnectionState() {
  const feed = useLive((live) => live.feed);
  const now = useNow();
  const { tone, words } = truth(feed, now, clock);
  return (
    <span
      className="connection"
      data-tone={tone}
      data-seq={feed.seq}
      title={`event ${feed.seq} of ${feed.head}`}
    >
      <svg width="8" height="8" viewBox="0 0 8 8" aria-hidden="true" className={tone === "live" ? "pulse" : undefined}>
        <path d={tone === "live" ? "M0 0h8v8H0z" : "M1 1h6v6H1z"} fill={tone === "live" ? paints.live : "none"} stroke={paints[tone]} strokeWidth="2" />
      </svg>
      <span role="status">{words}</span>
    </span>
  );
}
