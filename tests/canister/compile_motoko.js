// usage: node compile_motoko.js MODULES SOURCES OUTPUT 32|64
//
// Compiles counter.mo and leak.mo with the npm package motoko: classic persistence in 32 bits, or
// enhanced orthogonal persistence in 64. What gcFlags sets stays set, so a process does one of them.
"use strict";
const fs = require("fs");
const path = require("path");

const [modules, sources, output, width] = process.argv.slice(2);
const loaded = require(path.join(modules, "motoko"));
const motoko = loaded.default || loaded;
if (width === "32") motoko.compiler.gcFlags("classicOP");
for (const name of ["counter", "leak"]) {
  motoko.write("Main.mo", fs.readFileSync(path.join(sources, name + ".mo"), "utf8"));
  const wasm = motoko.wasm("Main.mo", "ic").wasm;
  const file = path.join(output, name + width + ".wasm");
  fs.writeFileSync(file + ".part", Buffer.from(wasm));
  fs.renameSync(file + ".part", file);
}
