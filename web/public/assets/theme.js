// Before anything is painted: which of the two themes this browser was left in.
try {
  const kept = localStorage.getItem("orchestrator.theme");
  if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
} catch {
  // A browser that keeps nothing shows the dark one.
}
