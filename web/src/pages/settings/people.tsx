import { useState } from "react";
import { tell } from "../../api/client";
import type { Invite, Role, User } from "../../api/types";
import { Field, useConfirm } from "../../parts/confirm";
import { stamp } from "../../parts/format";
import { Mark } from "../../parts/status";
import { useHere } from "../../shell/who";
import { List, Once, useList } from "./list";

export const roles: Role[] = ["viewer", "member", "lead", "admin"];

export function RoleField({ value = "member" }: { value?: Role }) {
  return (
    <Field label="Role">
      <select className="field" name="role" defaultValue={value}>
        {roles.map((role) => (
          <option key={role}>{role}</option>
        ))}
      </select>
    </Field>
  );
}

export function People() {
  const users = useList<User>("users", "/users");
  const invites = useList<Invite>("users/invites", "/invites");
  const { can } = useHere();
  const { ask, dialog } = useConfirm();
  const [link, setLink] = useState<string | null>(null);
  const mayManage = can({ role: "admin", scope: "users:write" });
  const invite = () =>
    ask({
      title: "Invite somebody",
      verb: "Make the link",
      consequence: <p>Whoever opens the link becomes a member of this tenant. It is good once.</p>,
      fields: (
        <>
          <Field label="E-mail address">
            <input className="field" name="email" type="email" required maxLength={254} />
          </Field>
          <RoleField />
        </>
      ),
      run: (_, form) => tell("POST", "/invites", { body: { email: form.get("email"), role: form.get("role") } }),
      done: (answer) => setLink(new URL((answer as Invite).link ?? "", location.origin).href),
    });
  const change = (user: User) =>
    ask({
      title: `Role of ${user.full_name}`,
      verb: "Change",
      consequence: <p>Keys and browsers of theirs have at most this role from now on.</p>,
      fields: <RoleField value={user.role} />,
      run: (_, form) => tell("PATCH", "/users/{id}", { params: { id: user.id }, body: { role: form.get("role") } }),
    });
  const remove = (user: User) =>
    ask({
      title: `Send ${user.full_name} away`,
      verb: "Remove",
      danger: true,
      consequence: <p>All keys of theirs are revoked, and what they have open ends within a second.</p>,
      run: () => tell("DELETE", "/users/{id}", { params: { id: user.id } }),
    });
  return (
    <div className="page">
      {link && <Once name="The link" secret={link} onClose={() => setLink(null)} />}
      <List
        title="People"
        query={users}
        empty="Nobody but the keys acts here yet."
        rest={
          mayManage && (
            <button type="button" className="button main" onClick={invite}>
              Invite
            </button>
          )
        }
        columns={[
          { name: "Name", cell: (user) => user.full_name },
          { name: "E-mail", cell: (user) => <span className="dim">{user.email}</span> },
          { name: "Role", cell: (user) => (user.is_system_admin ? "administrator of the system" : user.role) },
          { name: "State", cell: (user) => <Mark tone={user.is_active ? "good" : "quiet"}>{user.is_active ? "active" : "switched off"}</Mark> },
          { name: "Since", cell: (user) => stamp(user.created_at) },
          {
            name: "",
            num: true,
            cell: (user) =>
              mayManage && (
                <>
                  <button type="button" className="button plain" onClick={() => change(user)}>
                    Role
                  </button>
                  <button type="button" className="button plain" onClick={() => remove(user)}>
                    Remove
                  </button>
                </>
              ),
          },
        ]}
      />
      <List
        title="Open invitations"
        query={invites}
        empty="No invitation is open."
        columns={[
          { name: "E-mail", cell: (one) => one.email },
          { name: "Role", cell: (one) => one.role },
          { name: "Until", cell: (one) => stamp(one.expires_at) },
          {
            name: "",
            num: true,
            cell: (one) =>
              mayManage && (
                <button
                  type="button"
                  className="button plain"
                  onClick={() =>
                    ask({
                      title: `Withdraw the invitation of ${one.email}`,
                      verb: "Withdraw",
                      danger: true,
                      consequence: <p>The link is of no use any more.</p>,
                      run: () => tell("DELETE", "/invites/{id}", { params: { id: one.id } }),
                    })
                  }
                >
                  Withdraw
                </button>
              ),
          },
        ]}
      />
      {dialog}
    </div>
  );
}
