// Asks for a thing again soon after it changed, and not again for a while, however often it changes.

/** From the first change to the first request, in milliseconds. */
const SOON = 80;
/** From one request to the next, in milliseconds. */
const BETWEEN = 2000;

export class Throttle {
  private readonly last = new Map<string, number>();
  private readonly timers = new Map<string, ReturnType<typeof setTimeout>>();

  constructor(private readonly act: (key: string[]) => void) {}

  ask(key: string[]): void {
    const name = key.join("/");
    if (this.timers.has(name)) return;
    const since = Date.now() - (this.last.get(name) ?? 0);
    const wait = Math.max(SOON, BETWEEN - since);
    this.timers.set(
      name,
      setTimeout(() => {
        this.timers.delete(name);
        this.last.set(name, Date.now());
        this.act(key);
      }, wait),
    );
  }

  clear(): void {
    for (const timer of this.timers.values()) clearTimeout(timer);
    this.timers.clear();
    this.last.clear();
  }
}
