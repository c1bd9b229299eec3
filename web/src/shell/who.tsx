// Who is here, and in which tenant: known before any page is shown.

import { useQuery } from "@tanstack/react-query";
import { createContext, type ReactNode, useContext, useEffect, useMemo, useState } from "react";
import { actIn } from "../api/client";
import { queryClient, tenants as tenantsQuery, whoami } from "../api/queries";
import { may, type Need } from "../api/rights";
import type { Tenant, Whoami } from "../api/types";
import { listen } from "../live/store";
import { Refusal } from "../parts/basics";

interface Here {
  who: Whoami;
  /** The tenant that is shown. */
  tenant: { id: string; name: string; slug: string | null };
  /** Those that the caller may see. */
  tenants: readonly Tenant[];
  enter(tenant: Tenant): void;
  can(need: Need): boolean;
}

const Context = createContext<Here | null>(null);

export function useHere(): Here {
  const here = useContext(Context);
  if (!here) throw new Error("nobody is here");
  return here;
}

const KEPT = "orchestrator.tenant";

function kept(): string | null {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}

function keep(id: string): void {
  try {
    localStorage.setItem(KEPT, id);
  } catch {
    // Then the first one is shown next time.
  }
}

function Waiting({ children }: { children: ReactNode }) {
  return <main className="grid h-full place-items-center">{children}</main>;
}

export function WhoIsHere({ children }: { children: ReactNode }) {
  const who = useQuery(whoami);
  const isSystem = who.data?.is_system === true;
  const list = useQuery({ ...tenantsQuery, enabled: isSystem });
  const [wanted, setWanted] = useState(kept);

  const tenants = useMemo(() => (list.data ?? []).filter((tenant) => tenant.is_active), [list.data]);
  const chosen = isSystem
    ? (tenants.find((tenant) => tenant.id === wanted) ??
      tenants.find((tenant) => tenant.id === who.data?.tenant_id) ??
      tenants[0])
    : undefined;
  const id = isSystem ? chosen?.id : who.data?.tenant_id;
  const name = isSystem ? chosen?.name : who.data?.tenant_name;

  // Before anything below asks for something: what is asked is asked about this tenant.
  const [entered, setEntered] = useState<string | null>(null);
  useEffect(() => {
    if (!id) return;
    actIn(id);
    // What was read of another tenant is nobody's business here.
    queryClient.removeQueries({ queryKey: ["of"] });
    listen(id);
    setEntered(id);
  }, [id]);

  const here = useMemo<Here | null>(() => {
    if (!who.data || !id) return null;
    const data = who.data;
    return {
      who: data,
      tenant: { id, name: name ?? id, slug: chosen?.slug ?? null },
      tenants,
      enter: (tenant) => {
        keep(tenant.id);
        setWanted(tenant.id);
      },
      can: (need) => may(data, need),
    };
  }, [who.data, id, name, chosen, tenants]);

  const error = who.error ?? (isSystem ? list.error : null);
  if (error && !here) {
    return (
      <Waiting>
        <Refusal error={error} again={() => void queryClient.refetchQueries({ queryKey: ["whoami"] })} />
      </Waiting>
    );
  }
  if (!here || entered !== id) {
    return (
      <Waiting>
        <p className="label" role="status">
          Opening the control room
        </p>
      </Waiting>
    );
  }
  return (
    <Context value={here} key={id}>
      {children}
    </Context>
  );
}
