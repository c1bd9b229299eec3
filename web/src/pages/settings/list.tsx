// A list of settings: a table, what makes a new one, and what was shown once.

import { type UseQueryResult, useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { readAll } from "../../api/client";
import type { ReadPath } from "../../api/paths.gen";
import { CommandLine, Empty, Panel, Shown } from "../../parts/basics";

export interface Column<T> {
  name: string;
  cell(row: T): ReactNode;
  num?: boolean;
}

export function useList<T>(name: string, path: ReadPath, query: Record<string, string> = {}): UseQueryResult<T[]> {
  return useQuery({ queryKey: ["of", name, query], queryFn: () => readAll<T>(path, query) });
}

export function List<T extends { id: string }>(props: {
  title: string;
  query: UseQueryResult<T[]>;
  columns: Column<T>[];
  empty: string;
  rest?: ReactNode;
}) {
  const { title, query, columns, empty, rest } = props;
  return (
    <Panel title={title} rest={rest}>
      <Shown query={query} what={title.toLowerCase()}>
        {(rows) =>
          rows.length === 0 ? (
            <Empty title={empty} />
          ) : (
            <div className="overflow-x-auto" tabIndex={0} role="region" aria-label={`${title}, one by one`}>
              <table className="grid-table">
                <thead>
                  <tr>
                    {columns.map((column) => (
                      <th key={column.name} scope="col" className={column.num ? "num" : undefined}>
                        {column.name || <span className="sr">Commands</span>}
                      </th>
                    ))}
                  </tr>
                </thead>
                <tbody>
                  {rows.map((row) => (
                    <tr key={row.id}>
                      {columns.map((column) => (
                        <td key={column.name} className={column.num ? "num" : undefined}>
                          {column.cell(row)}
                        </td>
                      ))}
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )
        }
      </Shown>
    </Panel>
  );
}

/** A secret that nobody shows a second time. */
export function Once({ name, secret, onClose }: { name: string; secret: string; onClose(): void }) {
  return (
    <div className="notice flex flex-col items-start gap-2" role="status">
      <p className="strong">{name}, shown this once:</p>
      <CommandLine>{secret}</CommandLine>
      <button type="button" className="button" onClick={onClose}>
        It is kept
      </button>
    </div>
  );
}
