// How the portal's sources become crates/dps-portal/dist: hashed names, no source maps, nothing from elsewhere.
import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../dist",
    emptyOutDir: true,
    target: "chrome123",
    cssTarget: "chrome123",
    sourcemap: false,
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rolldownOptions: { output: { hashCharacters: "hex" } },
  },
});
