// Makes the component: node build.mjs WIT OUT
//
// `componentize-js` is found as every package is, or in NODE_MODULES.

import { readFile, writeFile } from "node:fs/promises";
import { resolve } from "node:path";

const [, , wit, out] = process.argv;
const toolchain = "@bytecodealliance/componentize-js";
const { NODE_MODULES } = process.env;
const { componentize } = await import(NODE_MODULES ? `${NODE_MODULES}/${toolchain}/src/componentize.js` : toolchain);

// Modules import modules, not JSON.
await writeFile("manifest.js", `export default ${await readFile("manifest.json", "utf8")}`);
const { component } = await componentize({
  sourcePath: resolve("plugin.js"),
  witPath: wit,
  worldName: "secrets-plugin",
  // What answers requests is no plugin: it would be one more export.
  disableFeatures: ["fetch-event"],
});
await writeFile(out, component);
