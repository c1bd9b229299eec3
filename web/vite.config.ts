import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// Where `npm run dev` finds a running server; the browser only ever sees the address of Vite.
const server = process.env.ORCHESTRATOR_URL ?? "http://127.0.0.1:8000";
const proxied = {
  target: server,
  changeOrigin: true,
  ws: true,
  headers: { origin: server },
};

export default defineConfig({
  plugins: [react(), tailwindcss()],
  base: "/",
  server: {
    host: "127.0.0.1",
    proxy: Object.fromEntries(
      ["/api", "/ws", "/login", "/docs", "/health", "/problems", "/openapi.json"].map((path) => [
        path,
        proxied,
      ]),
    ),
  },
  build: {
    outDir: process.env.ORCHESTRATOR_WEB_OUT ?? "../assets/dashboard",
    emptyOutDir: true,
    target: "es2022",
    sourcemap: false,
    cssCodeSplit: false,
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    modulePreload: false,
    rolldownOptions: {
      output: {
        entryFileNames: "assets/app.js",
        chunkFileNames: "assets/[name].js",
        assetFileNames: "assets/[name][extname]",
      },
    },
  },
  test: { environment: "happy-dom", include: ["src/**/*.test.{ts,tsx}"] },
});
