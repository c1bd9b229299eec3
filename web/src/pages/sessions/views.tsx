import { useState } from "react";
import { useSearchParams } from "wouter";
import { saveViews, savedViews } from "./filters";

/** Lists that this browser remembers, by name. */
export function Views() {
  const [params, set] = useSearchParams();
  const [views, setViews] = useState(savedViews);
  const [naming, setNaming] = useState(false);
  const query = params.toString();
  const keep = (next: typeof views) => {
    setViews(next);
    saveViews(next);
  };
  const known = views.find((view) => view.query === query);
  return (
    <>
      {views.length > 0 && (
        <select
          className="field"
          aria-label="Saved views"
          value={known?.query ?? ""}
          onChange={(event) => set(new URLSearchParams(event.target.value))}
        >
          <option value="">views</option>
          {views.map((view) => (
            <option key={view.name} value={view.query}>
              {view.name}
            </option>
          ))}
        </select>
      )}
      {known && (
        <button type="button" className="button plain" onClick={() => keep(views.filter((view) => view !== known))}>
          Forget view
        </button>
      )}
      {!known && query !== "" && !naming && (
        <button type="button" className="button plain" onClick={() => setNaming(true)}>
          Save view
        </button>
      )}
      {naming && (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            const name = String(new FormData(event.currentTarget).get("name") ?? "").trim();
            if (name) keep([...views.filter((view) => view.name !== name), { name, query }]);
            setNaming(false);
          }}
        >
          <input className="field w-32" name="name" aria-label="Name of the view" placeholder="Name" maxLength={40} />
        </form>
      )}
    </>
  );
}
