import { useState } from "react";
import { tell } from "../../api/client";
import type { ApiKey } from "../../api/types";
import { Field, useConfirm } from "../../parts/confirm";
import { stamp } from "../../parts/format";
import { Mark } from "../../parts/status";
import { useHere } from "../../shell/who";
import { List, Once, useList } from "./list";
import { RoleField } from "./people";

export function Keys() {
  const keys = useList<ApiKey>("keys", "/keys");
  const { can, who } = useHere();
  const { ask, dialog } = useConfirm();
  const [secret, setSecret] = useState<string | null>(null);
  const mayManage = can({ role: "admin", scope: "keys:write" });
  const make = () =>
    ask({
      title: "Make a key",
      verb: "Make",
      consequence: <p>Whoever has it acts with this role. It is shown once.</p>,
      fields: (
        <>
          <Field label="Name">
            <input className="field" name="name" required maxLength={100} autoComplete="off" />
          </Field>
          <RoleField />
          <Field label="Scopes" hint="as in sessions:write; those of the role when empty">
            <input className="field" name="scopes" autoComplete="off" />
          </Field>
          <Field label="Kind">
            <select className="field" name="kind" defaultValue="key">
              <option value="key">for a program or a person</option>
              <option value="enrolment">for agents that register themselves</option>
            </select>
          </Field>
        </>
      ),
      run: (_, form) => {
        const scopes = String(form.get("scopes") ?? "").split(/[,\s]+/).filter(Boolean);
        return tell("POST", "/keys", {
          body: {
            name: form.get("name"),
            role: form.get("role"),
            kind: form.get("kind"),
            ...(scopes.length > 0 && { scopes }),
          },
        });
      },
      done: (answer) => setSecret((answer as ApiKey).secret ?? null),
    });
  const stateOf = (key: ApiKey) => {
    if (key.revoked_at) return <Mark tone="quiet">revoked</Mark>;
    if (key.expires_at && Date.parse(key.expires_at) < Date.now()) return <Mark tone="quiet">expired</Mark>;
    return <Mark tone="good">valid</Mark>;
  };
  return (
    <div className="page">
      {secret && <Once name="The key" secret={secret} onClose={() => setSecret(null)} />}
      <List
        title="Keys"
        query={keys}
        empty="There is no key."
        rest={
          mayManage && (
            <button type="button" className="button main" onClick={make}>
              New key
            </button>
          )
        }
        columns={[
          {
            name: "Name",
            cell: (key) => (
              <>
                {key.name} {key.id === who.key_id && <span className="tag">this browser</span>}
              </>
            ),
          },
          { name: "Kind", cell: (key) => key.kind },
          { name: "Begins", cell: (key) => <span className="dim">{key.prefix}</span> },
          { name: "Role", cell: (key) => (key.is_system ? "system" : key.role) },
          { name: "State", cell: stateOf },
          { name: "Used", cell: (key) => stamp(key.last_used_at) },
          { name: "Until", cell: (key) => stamp(key.expires_at) },
          {
            name: "",
            num: true,
            cell: (key) =>
              mayManage &&
              !key.revoked_at && (
                <>
                  {key.kind === "key" && (
                    <button
                      type="button"
                      className="button plain"
                      onClick={() =>
                        ask({
                          title: `Rotate ${key.name}`,
                          verb: "Rotate",
                          consequence: <p>It gets another secret, shown once. The old one is good for another 24 hours at most.</p>,
                          run: () => tell("POST", "/keys/{id}/rotate", { params: { id: key.id } }),
                          done: (answer) => setSecret((answer as ApiKey).secret ?? null),
                        })
                      }
                    >
                      Rotate
                    </button>
                  )}
                  <button
                    type="button"
                    className="button plain"
                    onClick={() =>
                      ask({
                        title: `Revoke ${key.name}`,
                        verb: "Revoke",
                        danger: true,
                        consequence: <p>Within a second it is refused everywhere, and what it has open ends.</p>,
                        run: () => tell("DELETE", "/keys/{id}", { params: { id: key.id } }),
                      })
                    }
                  >
                    Revoke
                  </button>
                </>
              ),
          },
        ]}
      />
      {dialog}
    </div>
  );
}
