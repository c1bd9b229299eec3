// A merge that waits: what each side says at each path that clashes, and who decides which one holds.

import { useMutation, useQueries } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { tell } from "../../api/client";
import { context as contextOf, queryClient } from "../../api/queries";
import type { Context } from "../../api/types";
import { Refusal } from "../../parts/basics";
import { Dialog } from "../../parts/dialog";
import { at, inLine } from "./tree";
import type { Waiting } from "./waiting";

type Choice = "target" | "source" | "own";

function Side(props: { name: string; value: unknown; chosen: boolean; onChoose(): void; group: string }) {
  return (
    <label className="clash-side" data-chosen={props.chosen || undefined}>
      <span className="flex items-center gap-2">
        <input type="radio" name={props.group} checked={props.chosen} onChange={props.onChoose} />
        <span className="label">{props.name}</span>
      </span>
      <code className="wrap">{inLine(props.value)}</code>
    </label>
  );
}

export function Clashes({ merge, onClose, onDone }: { merge: Waiting; onClose(): void; onDone(made: Context): void }) {
  const sides = useQueries({ queries: merge.sources.map((id) => contextOf(id)) });
  const [choices, setChoices] = useState<Record<string, Choice>>({});
  const [own, setOwn] = useState<Record<string, string>>({});
  const [wrong, setWrong] = useState("");
  const [target, ...others] = sides.map((side) => side.data?.data);
  const failed = sides.find((side) => side.error)?.error;
  const left = merge.paths.filter((path) => !choices[path]).length;
  const run = useMutation({
    mutationFn: (resolutions: Record<string, unknown>) =>
      tell<Context>("POST", "/contexts/{id}/resolve", { params: { id: merge.id }, body: { resolutions } }),
    onSuccess: (made) => {
      void queryClient.invalidateQueries({ queryKey: ["of"] });
      onDone(made);
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const resolutions: Record<string, unknown> = {};
    for (const path of merge.paths) {
      const choice = choices[path];
      try {
        resolutions[path] = choice === "own" ? { value: JSON.parse(own[path] ?? "null") as unknown } : choice;
      } catch {
        setWrong(`What is to stand at ${path} is no JSON.`);
        return;
      }
    }
    setWrong("");
    run.mutate(resolutions);
  };
  const choose = (path: string, choice: Choice) => setChoices((old) => ({ ...old, [path]: choice }));
  const all = (choice: Choice) => setChoices(Object.fromEntries(merge.paths.map((path) => [path, choice])));
  return (
    <Dialog title="Decide what clashes" onClose={onClose} className="wide">
      <form className="flex flex-col gap-3 p-4" onSubmit={submit}>
        <p>
          Both sides wrote these without knowing of each other. Once all are decided, a new context holds the result; those that were merged stay as
          they are. It is on record who decided.
        </p>
        <div className="flex flex-wrap gap-1">
          <button type="button" className="button" onClick={() => all("target")}>
            All from the target
          </button>
          <button type="button" className="button" onClick={() => all("source")}>
            All from the source
          </button>
        </div>
        {failed && <Refusal error={failed} />}
        <ol className="flex flex-col gap-2">
          {merge.paths.map((path) => (
            <li key={path} className="clash">
              <h3 className="strong wrap">{path}</h3>
              <div className="clash-sides">
                <Side name="target" group={path} value={at(target, path)} chosen={choices[path] === "target"} onChoose={() => choose(path, "target")} />
                <Side
                  name="source"
                  group={path}
                  value={others.map((side) => at(side, path)).find((value) => value !== undefined)}
                  chosen={choices[path] === "source"}
                  onChoose={() => choose(path, "source")}
                />
                <label className="clash-side" data-chosen={choices[path] === "own" || undefined}>
                  <span className="label">or by hand, as JSON</span>
                  <input
                    className="field"
                    value={own[path] ?? ""}
                    autoComplete="off"
                    spellCheck={false}
                    onChange={(event) => {
                      setOwn((old) => ({ ...old, [path]: event.target.value }));
                      choose(path, "own");
                    }}
                  />
                </label>
              </div>
            </li>
          ))}
        </ol>
        {wrong && (
          <p className="notice bad" role="alert">
            {wrong}
          </p>
        )}
        {run.error && <Refusal error={run.error} />}
        <footer className="flex items-center justify-end gap-2">
          <span className="dim flex-1">{left > 0 ? `${left} of ${merge.paths.length} to decide` : "all decided"}</span>
          <button type="button" className="button" onClick={onClose}>
            Later
          </button>
          <button type="submit" className="button main" disabled={left > 0 || run.isPending}>
            {run.isPending ? "Sending" : "Make it so"}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
