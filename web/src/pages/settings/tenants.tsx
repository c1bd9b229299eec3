import { tell } from "../../api/client";
import { queryClient } from "../../api/queries";
import type { Tenant } from "../../api/types";
import { Field, useConfirm } from "../../parts/confirm";
import { stamp } from "../../parts/format";
import { Mark } from "../../parts/status";
import { useHere } from "../../shell/who";
import { List, useList } from "./list";

export function Tenants() {
  const list = useList<Tenant>("tenants", "/tenants");
  const { can, tenant: here, enter } = useHere();
  const { ask, dialog } = useConfirm();
  const mayRule = can({ role: "admin", scope: "tenants:write", system: true });
  const again = () => void queryClient.invalidateQueries({ queryKey: ["tenants"] });
  const make = () =>
    ask({
      title: "New tenant",
      verb: "Make",
      consequence: <p>It sees nothing of the others, and they nothing of it. It has agents of its own.</p>,
      fields: (
        <>
          <Field label="Short name" hint="small letters, digits and hyphens; it stays">
            <input className="field" name="slug" required pattern="[a-z0-9][a-z0-9\-]*" maxLength={63} autoComplete="off" />
          </Field>
          <Field label="Name">
            <input className="field" name="name" maxLength={200} autoComplete="off" />
          </Field>
        </>
      ),
      run: (_, form) => tell("POST", "/tenants", { body: { slug: form.get("slug"), name: form.get("name") || null } }),
      done: again,
    });
  const off = (tenant: Tenant) =>
    ask({
      title: `Switch ${tenant.name} off`,
      verb: "Switch off",
      danger: true,
      consequence: <p>Nobody gets in, nothing new begins, and what runs is paused.</p>,
      run: () => tell("DELETE", "/tenants/{id}", { params: { id: tenant.id } }),
      done: again,
    });
  return (
    <div className="page">
      <List
        title="Tenants"
        query={list}
        empty="There is no tenant."
        rest={
          mayRule && (
            <button type="button" className="button main" onClick={make}>
              New tenant
            </button>
          )
        }
        columns={[
          { name: "Name", cell: (tenant) => tenant.name },
          { name: "Short name", cell: (tenant) => <span className="dim">{tenant.slug}</span> },
          { name: "State", cell: (tenant) => <Mark tone={tenant.is_active ? "good" : "quiet"}>{tenant.is_active ? "active" : "switched off"}</Mark> },
          { name: "Since", cell: (tenant) => stamp(tenant.created_at) },
          {
            name: "",
            num: true,
            cell: (tenant) => (
              <>
                {tenant.id !== here.id && tenant.is_active && (
                  <button type="button" className="button plain" onClick={() => enter(tenant)}>
                    Go there
                  </button>
                )}
                {mayRule && tenant.is_active && tenant.slug !== "default" && (
                  <button type="button" className="button plain" onClick={() => off(tenant)}>
                    Switch off
                  </button>
                )}
              </>
            ),
          },
        ]}
      />
      {dialog}
    </div>
  );
}
