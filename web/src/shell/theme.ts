import { create } from "zustand";

export type Theme = "dark" | "light";

const now = (): Theme => (document.documentElement.dataset.theme === "light" ? "light" : "dark");

export const useTheme = create<{ theme: Theme; flip(): void }>((set) => ({
  theme: now(),
  flip: () => {
    const theme = now() === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    try {
      localStorage.setItem("orchestrator.theme", theme);
    } catch {
      // Then it is dark again next time.
    }
    set({ theme });
  },
}));
