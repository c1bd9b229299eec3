import { QueryClientProvider } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Link, Route, Switch } from "wouter";
import { queryClient } from "./api/queries";
import { Empty } from "./parts/basics";
import { AgentPage } from "./pages/agents/agent";
import { Agents } from "./pages/agents/agents";
import { Attention } from "./pages/attention/attention";
import { Audit } from "./pages/audit/audit";
import { ContextPage } from "./pages/contexts/context";
import { Contexts } from "./pages/contexts/contexts";
import { Hosts } from "./pages/hosts/hosts";
import { Locks } from "./pages/locks/locks";
import { Overview } from "./pages/overview/overview";
import { SessionPage } from "./pages/session/page";
import { Sessions } from "./pages/sessions/sessions";
import { Settings } from "./pages/settings/settings";
import { Usage } from "./pages/usage/usage";
import { Shell } from "./shell/shell";
import { pages } from "./shell/pages";
import { useHere, WhoIsHere } from "./shell/who";

function Nothing() {
  return (
    <Empty title="There is no such page.">
      <h1 className="sr">Not found</h1>
      <Link className="button" href="/">
        Overview
      </Link>
    </Empty>
  );
}

/** A page for those who may see it. */
function Only({ path, children }: { path: string; children: ReactNode }) {
  const { can } = useHere();
  const need = pages.find((page) => page.path === path)?.need;
  if (need && can(need)) return children;
  return <Empty title="This page is not yours to see." />;
}

export function App() {
  return (
    <QueryClientProvider client={queryClient}>
      <WhoIsHere>
        <Shell>
            <Switch>
              <Route path="/">
                <Only path="/">
                  <Overview />
                </Only>
              </Route>
              <Route path="/sessions">
                <Only path="/sessions">
                  <Sessions />
                </Only>
              </Route>
              <Route path="/sessions/:id">
                {({ id }) => (
                  <Only path="/sessions">
                    <SessionPage key={id} id={id} />
                  </Only>
                )}
              </Route>
              <Route path="/attention">
                <Only path="/attention">
                  <Attention />
                </Only>
              </Route>
              <Route path="/agents">
                <Only path="/agents">
                  <Agents />
                </Only>
              </Route>
              <Route path="/agents/:id">
                {({ id }) => (
                  <Only path="/agents">
                    <AgentPage key={id} id={id} />
                  </Only>
                )}
              </Route>
              <Route path="/contexts">
                <Only path="/contexts">
                  <Contexts />
                </Only>
              </Route>
              <Route path="/contexts/:id">
                {({ id }) => (
                  <Only path="/contexts">
                    <ContextPage key={id} id={id} />
                  </Only>
                )}
              </Route>
              <Route path="/locks">
                <Only path="/locks">
                  <Locks />
                </Only>
              </Route>
              <Route path="/hosts">
                <Only path="/hosts">
                  <Hosts />
                </Only>
              </Route>
              <Route path="/usage">
                <Only path="/usage">
                  <Usage />
                </Only>
              </Route>
              <Route path="/audit">
                <Only path="/audit">
                  <Audit />
                </Only>
              </Route>
              <Route path="/settings/*?">
                <Settings />
              </Route>
              <Route>
                <Nothing />
              </Route>
            </Switch>
        </Shell>
      </WhoIsHere>
    </QueryClientProvider>
  );
}
