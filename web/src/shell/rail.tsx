import { useQuery } from "@tanstack/react-query";
import { Link, useLocation } from "wouter";
import { attention } from "../api/queries";
import { pages } from "./pages";
import { useHere } from "./who";

export function Rail() {
  const [path] = useLocation();
  const { can } = useHere();
  const open = useQuery({ ...attention, enabled: can({ role: "viewer", scope: "sessions:read" }) });
  const waiting = open.data?.length ?? 0;
  return (
    <nav className="rail" aria-label="Pages">
      {pages
        .filter((page) => can(page.need))
        .map((page) => {
          const here = page.path === "/" ? path === "/" : path.startsWith(page.path);
          return (
            <Link
              key={page.path}
              href={page.path}
              className="rail-item"
              aria-current={here ? "page" : undefined}
            >
              <svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true">
                <path d={page.draw} fill="none" stroke="currentColor" strokeWidth="1.25" />
              </svg>
              <span className="rail-name">{page.name}</span>
              {page.path === "/attention" && waiting > 0 && (
                <span className="needs" aria-label={`${waiting} waiting`}>
                  {waiting}
                </span>
              )}
            </Link>
          );
        })}
    </nav>
  );
}
