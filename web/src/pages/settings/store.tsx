import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { fetchFile, read } from "../../api/client";
import type { StorageUsage } from "../../api/types";
import { CommandLine, Panel, Shown } from "../../parts/basics";
import { Field, useConfirm } from "../../parts/confirm";
import { bytes, count, words } from "../../parts/format";
import { saveBlob } from "../../parts/save";
import { useHere } from "../../shell/who";

/** A moment as a part of a file's name. */
const stampOf = (at: Date) => at.toISOString().slice(0, 16).replace(/[-:]/g, "").replace("T", "-");

/** Carries everything away as a file, or what people can read of it. */
function Carry() {
  const { can, tenants } = useHere();
  const { ask, dialog } = useConfirm();
  const [told, setTold] = useState("");
  const mayBackUp = can({ role: "admin", scope: "system:write", system: true });
  const backUp = () =>
    ask({
      title: "Back up now",
      verb: "Back up",
      reason: "may",
      consequence: (
        <p>
          Everything that is stored, of all tenants, leaves as one file, as it stands at one moment. Writers go on meanwhile. Whoever has the file can
          read all of it, also the hashes of keys.
        </p>
      ),
      run: async (reason) => {
        const blob = await fetchFile("POST", "/system/backup", "application/zstd", { body: { reason: reason || null } });
        saveBlob(`orchestrator-${stampOf(new Date())}.ioz`, blob);
        return blob.size;
      },
      done: (size) => setTold(`${bytes(size as number)} are saved. Whether the file is whole tells: orchestrator backup verify FILE`),
    });
  const exportAll = () =>
    ask({
      title: "Export",
      verb: "Export",
      consequence: <p>Lines of JSON that people and other programs can read. No secret is among them.</p>,
      fields: (
        <>
          <Field label="Of">
            <select className="field" name="tenant" defaultValue="">
              <option value="">all tenants</option>
              {tenants.map((tenant) => (
                <option key={tenant.id} value={tenant.slug}>
                  {tenant.name}
                </option>
              ))}
            </select>
          </Field>
          <label className="flex items-center gap-2">
            <input type="checkbox" name="redact" /> Replace what looks like a secret in texts; such an export cannot be imported
          </label>
        </>
      ),
      run: async (_, form) => {
        const tenant = String(form.get("tenant") ?? "");
        const query = { ...(tenant && { tenant }), ...(form.get("redact") && { redact: true }) };
        const blob = await fetchFile("GET", "/system/export", "application/x-ndjson", { query });
        saveBlob(`orchestrator-${tenant || "all"}-${stampOf(new Date())}.ndjson`, blob);
        return blob.size;
      },
      done: (size) => setTold(`${bytes(size as number)} are saved.`),
    });
  return (
    <>
      <div className="flex flex-wrap gap-2">
        {mayBackUp && (
          <button type="button" className="button main" onClick={backUp}>
            Back up now
          </button>
        )}
        <button type="button" className="button" onClick={exportAll}>
          Export
        </button>
      </div>
      {told && (
        <p className="notice" role="status">
          {told}
        </p>
      )}
      {dialog}
    </>
  );
}

export function Store() {
  const query = useQuery({
    queryKey: ["storage"],
    queryFn: ({ signal }) => read<StorageUsage>("/storage/usage", { signal }),
    staleTime: 60_000,
  });
  return (
    <div className="page">
      <Panel title="Backup">
        <div className="empty">
          <p>Everything that is stored, as it stands at one moment, in one file; the server goes on meanwhile.</p>
          <Carry />
          <p className="dim">The same from a shell, also by a timer:</p>
          <CommandLine>orchestrator backup backup.ioz</CommandLine>
          <p className="dim">It is put back, where there is no store, with</p>
          <CommandLine>orchestrator restore backup.ioz</CommandLine>
        </div>
      </Panel>
      <Panel
        title="Store"
        rest={
          query.data && (
            <span className="dim">
              {bytes(query.data.file_bytes)}, {bytes(query.data.free_bytes)} free on the disk
            </span>
          )
        }
      >
        <Shown query={query} what="what the store takes" rows={8}>
          {(told) => (
            <table className="grid-table">
              <thead>
                <tr>
                  <th scope="col">Class</th>
                  <th scope="col" className="num">Rows</th>
                  <th scope="col" className="num">Size</th>
                </tr>
              </thead>
              <tbody>
                {told.classes.map((one) => (
                  <tr key={one.class}>
                    <td>{words(one.class)}</td>
                    <td className="num">{count(one.rows)}</td>
                    <td className="num">{bytes(one.bytes)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          )}
        </Shown>
      </Panel>
    </div>
  );
}
