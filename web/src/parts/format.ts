// Figures and times in words. What is not known is a dash, never a zero.

export const NONE = "–";

export function clock(at: number | string): string {
  return new Date(at).toLocaleTimeString("en-GB", { hour12: false });
}

export function stamp(at: string | null | undefined): string {
  if (!at) return NONE;
  const date = new Date(at);
  const day = date.toLocaleDateString("sv-SE");
  return day === new Date().toLocaleDateString("sv-SE") ? clock(at) : `${day} ${clock(at).slice(0, 5)}`;
}

/** Seconds in at most two units. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return NONE;
  if (seconds < 1) return `${Math.round(seconds * 1000)}ms`;
  if (seconds < 60) return `${seconds < 10 && !Number.isInteger(seconds) ? seconds.toFixed(1) : Math.floor(seconds)}s`;
  const parts = [
    [86_400, "d"],
    [3600, "h"],
    [60, "m"],
    [1, "s"],
  ] as const;
  const first = parts.findIndex(([size]) => seconds >= size);
  const [size, unit] = parts[first] ?? [1, "s"];
  const next = parts[first + 1];
  const whole = Math.floor(seconds / size);
  if (!next) return `${whole}${unit}`;
  const rest = Math.floor((seconds % size) / next[0]);
  return `${whole}${unit} ${String(rest).padStart(2, "0")}${next[1]}`;
}

/** The same of something that goes on: no smaller than a second. */
export function running(seconds: number | null): string {
  return duration(seconds !== null && seconds >= 1 ? Math.floor(seconds) : seconds);
}

export function since(at: string | null | undefined, now: number): string {
  return at ? duration(Math.max(0, Math.floor((now - Date.parse(at)) / 1000))) : NONE;
}

export function until(at: string | null | undefined, now: number): string {
  if (!at) return NONE;
  const seconds = Math.floor((Date.parse(at) - now) / 1000);
  return seconds <= 0 ? "due" : duration(seconds);
}

export function money(usd: number | null | undefined): string {
  if (usd === null || usd === undefined) return NONE;
  const digits = usd !== 0 && Math.abs(usd) < 1 ? 4 : 2;
  return `$${usd.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits })}`;
}

export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? NONE : value.toLocaleString("en-US");
}

/** A large number, short. */
export function short(value: number | null | undefined): string {
  if (value === null || value === undefined) return NONE;
  if (Math.abs(value) < 10_000) return count(Math.round(value));
  const units = [
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
  ] as const;
  const [size, unit] = units.find(([size]) => Math.abs(value) >= size) ?? [1, ""];
  const scaled = value / size;
  return `${scaled.toFixed(scaled < 100 ? 1 : 0)}${unit}`;
}

export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return NONE;
  if (value < 1024) return `${value} B`;
  const power = Math.min(4, Math.floor(Math.log2(value) / 10));
  return `${(value / 1024 ** power).toFixed(1)} ${"KMGT"[power - 1]}iB`;
}

export function percent(share: number | null | undefined): string {
  return share === null || share === undefined ? NONE : `${Math.round(share * 100)}%`;
}

export const words = (name: string) => name.replace(/_/g, " ");

const priorities = ["critical", "high", "medium", "low", "deferred"];
export const priority = (level: number) => priorities[level] ?? String(level);
