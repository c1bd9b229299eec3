// One command for many sessions, each of which may take it or not.

import { useState } from "react";
import type { Session } from "../../api/types";
import { useConfirm } from "../../parts/confirm";
import { run, verbs } from "../session/verbs";

export function Bulk({ chosen, onDone }: { chosen: Session[]; onDone(): void }) {
  const { ask, dialog } = useConfirm();
  const [told, setTold] = useState("");
  const many = Object.entries(verbs).filter(([, verb]) => verb.many);
  const begin = (name: string) => {
    const verb = verbs[name];
    const able = chosen.filter((session) => session.allowed_actions.includes(name));
    if (!verb) return;
    ask({
      title: `${verb.name} ${able.length} sessions`,
      verb: verb.name,
      consequence: (
        <>
          <p>{verb.consequence}</p>
          <p className="dim wrap">{able.map((session) => session.code).join(" ")}</p>
          {able.length < chosen.length && <p className="dim">{chosen.length - able.length} others are left as they are.</p>}
        </>
      ),
      ...(verb.danger && { danger: true }),
      ...(verb.reason && { reason: verb.reason }),
      run: async (reason, form) => {
        const refused: string[] = [];
        for (const session of able) {
          await run(name, session.id, verb.body?.(reason, form) ?? {}).catch((error: Error) =>
            refused.push(`${session.code}: ${error.message}`),
          );
        }
        setTold(refused.join("\n"));
        if (refused.length === 0) onDone();
      },
    });
  };
  return (
    <div className="bar" role="toolbar" aria-label="Commands for the chosen sessions">
      <span className="strong">{chosen.length} chosen</span>
      {many.map(([name, verb]) => {
        const able = chosen.filter((session) => session.allowed_actions.includes(name)).length;
        if (able === 0) return null;
        return (
          <button key={name} type="button" className={`button ${verb.danger ? "danger" : ""}`} onClick={() => begin(name)}>
            {verb.name} {able}
          </button>
        );
      })}
      <button type="button" className="button plain" onClick={onDone}>
        Choose none
      </button>
      {told && (
        <p className="notice bad wrap w-full" role="alert">
          {told}
        </p>
      )}
      {dialog}
    </div>
  );
}
