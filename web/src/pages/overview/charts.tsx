import { useMemo } from "react";
import { useLive } from "../../live/store";
import { Panel, Provenance, useNow } from "../../parts/basics";
import { clock, duration, money } from "../../parts/format";
import { BUCKETS, history, type Series } from "./series";

const WIDTH = 240;
const HEIGHT = 48;

function Bars({ series, paint }: { series: Series; paint: string }) {
  const top = Math.max(...series.values.map((value) => value ?? 0), Number.MIN_VALUE);
  const wide = WIDTH / BUCKETS;
  return (
    <svg className="bars" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      {[0.25, 0.5, 0.75].map((share) => (
        <path key={share} d={`M0 ${HEIGHT * share}h${WIDTH}`} stroke="var(--line)" strokeDasharray="1 3" />
      ))}
      {series.values.map((value, index) => {
        const x = index * wide;
        // What is not known is no zero: its place stays hatched.
        if (value === null) return <path key={index} d={`M${x} ${HEIGHT - 1}h${wide}`} stroke="var(--line)" strokeDasharray="1 1" />;
        const tall = value === 0 ? 1 : Math.max(2, (value / top) * (HEIGHT - 4));
        return <rect key={index} x={x} y={HEIGHT - tall} width={wide - 1} height={tall} fill={value === 0 ? "var(--line)" : paint} />;
      })}
    </svg>
  );
}

function Chart(props: { name: string; value: string; unit: string; series: Series; paint: string }) {
  const { name, value, unit, series, paint } = props;
  return (
    <figure className="chart" aria-label={`${name}: ${value} ${unit}`}>
      <figcaption>
        <span className="label">{name}</span>
        <span className="chart-value">{value}</span>
        <span className="dim">{unit}</span>
        <Provenance simulated={series.simulated} />
      </figcaption>
      <Bars series={series} paint={paint} />
    </figure>
  );
}

export function Charts() {
  // Looked at once a second: bars of a minute need no more, however fast events come.
  const now = useNow(1000);
  const past = useMemo(() => history(useLive.getState().feed.events, now), [now]);
  return (
    <Panel title="Last hour" rest={<span className="dim">since {clock(past.from)}</span>}>
      <div className="charts">
        <Chart name="Throughput" value={String(past.ended.summary ?? 0)} unit="ended" series={past.ended} paint="var(--status-completed)" />
        <Chart name="Queue time" value={duration(past.waited.summary)} unit="mean" series={past.waited} paint="var(--status-queued)" />
        <Chart name="Spend" value={money(past.spent.summary)} unit="recorded" series={past.spent} paint="var(--status-paused)" />
      </div>
    </Panel>
  );
}
