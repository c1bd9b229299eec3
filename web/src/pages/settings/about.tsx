import { useQuery } from "@tanstack/react-query";
import { serverHealth, systemInfo } from "../../api/queries";
import { Panel, Shown } from "../../parts/basics";
import { duration, stamp } from "../../parts/format";
import { Mark } from "../../parts/status";
import { useHere } from "../../shell/who";

export function About() {
  const info = useQuery(systemInfo);
  const health = useQuery(serverHealth);
  const { who } = useHere();
  return (
    <div className="page">
      <div className="split">
        <Panel title="This server">
          <Shown query={info} what="what the server is">
            {(told) => (
              <dl className="facts">
                <dt>version</dt>
                <dd>{told.version}</dd>
                <dt>platform</dt>
                <dd>{told.platform}</dd>
                <dt>store</dt>
                <dd>{told.store}</dd>
                <dt>sandbox</dt>
                <dd>{told.sandbox}</dd>
                <dt>serves since</dt>
                <dd>
                  {stamp(told.started_at)}, {duration(told.uptime_seconds)}
                </dd>
                <dt>slots</dt>
                <dd>
                  {told.executing_sessions} of {told.max_running_sessions} used
                </dd>
                <dt>restored</dt>
                <dd>{told.restored_at ? stamp(told.restored_at) : "never"}</dd>
              </dl>
            )}
          </Shown>
        </Panel>
        <Panel title="Health">
          <Shown query={health} what="the health of the server">
            {(told) => (
              <ul>
                {told.components.map((part) => (
                  <li key={part.name} className="fleet-row">
                    <span className="flex-1">{part.name}</span>
                    <span className="dim cut">{part.detail}</span>
                    <Mark tone={part.status === "healthy" ? "good" : "bad"}>{part.status}</Mark>
                  </li>
                ))}
              </ul>
            )}
          </Shown>
        </Panel>
        <Panel title="You">
          <dl className="facts">
            <dt>name</dt>
            <dd>{who.user?.full_name ?? who.name}</dd>
            <dt>role</dt>
            <dd>{who.is_system ? "administrator of the system" : who.role}</dd>
            <dt>scopes</dt>
            <dd>{who.scopes.join(" ")}</dd>
          </dl>
        </Panel>
        <Panel title="More">
          <ul>
            <li>
              <a className="fleet-row" href="/docs">
                The API, to read and to try
              </a>
            </li>
            <li>
              <a className="fleet-row" href="/openapi.json">
                Its document
              </a>
            </li>
          </ul>
        </Panel>
      </div>
    </div>
  );
}
