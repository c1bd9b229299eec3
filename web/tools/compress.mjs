// Lays every text of the built pages beside itself, compressed, so that the server never has to.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const out = process.env.ORCHESTRATOR_WEB_OUT ?? new URL("../../assets/dashboard", import.meta.url).pathname;

for (const name of readdirSync(out, { recursive: true })) {
  if (!/\.(html|js|css|svg)$/.test(name)) continue;
  const bytes = readFileSync(join(out, name));
  const brotli = brotliCompressSync(bytes, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  });
  writeFileSync(join(out, `${name}.br`), brotli);
  writeFileSync(join(out, `${name}.gz`), gzipSync(bytes, { level: 9 }));
}
