// The other side of fuzz/differential: the same modules in Node's V8, the same lines.
//
//     node differential.js FOLDER FIRST_SEED COUNT
//     node differential.js                           which features this V8 has, by commas
"use strict";
const fs = require("fs");

const CLASSES = [
  [/unreachable/, "unreachable"],
  [/memory access out of bounds/, "memory"],
  [/table index is out of bounds|table access out of bounds|table out of bounds/, "table"],
  [/null function|signature|type mismatch/, "indirect"],
  [/(divide|remainder) by zero/, "zero"],
  [/unrepresentable/, "range"],
];

function trapClass(error) {
  for (const [pattern, name] of CLASSES) if (pattern.test(error.message)) return name;
  return `unknown: ${error.message}`;
}

function host(a, b) {
  return BigInt.asIntN(64, BigInt(a >>> 0) * 2654435761n + b * 3n);
}

// Of the memories exported as "m", "n", one behind the other.
function memoryHash(exports) {
  let hash = 2166136261;
  let total = 0;
  for (const name of ["m", "n"]) {
    const bytes = new Uint8Array(exports[name] ? exports[name].buffer : 0);
    for (let i = 0; i < bytes.length; i++) hash = Math.imul(hash ^ bytes[i], 16777619);
    total += bytes.length;
  }
  return ((BigInt(total) << 32n) | BigInt(hash >>> 0)).toString(16);
}

function run(folder, seed) {
  const module = new WebAssembly.Module(fs.readFileSync(`${folder}/${seed}.wasm`));
  const { exports } = new WebAssembly.Instance(module, { e: { h: host } });
  const lines = [];
  for (let i = 0; exports[`t${i}`] !== undefined; i++) {
    let outcome;
    try {
      outcome = BigInt.asUintN(64, exports[`t${i}`]()).toString(16).padStart(16, "0");
    } catch (error) {
      outcome = trapClass(error);
    }
    lines.push(`t${i} ${outcome} ${memoryHash(exports)}`);
  }
  for (const form of ["guard", "explicit", "metered", "no-signals"])
    for (const line of lines) console.log(`${seed} ${form} ${line}`);
}

// Sections of the smallest modules that need a feature.
const PROBES = {
  "tail-calls": [1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 10, 6, 1, 4, 0, 0x12, 0, 0x0b],
  memory64: [5, 3, 1, 4, 1],
  table64: [4, 4, 1, 0x70, 4, 1],
  "multi-memory": [5, 5, 2, 0, 1, 0, 1],
};

function hasFeature(name) {
  const header = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
  return WebAssembly.validate(Uint8Array.from([...header, ...PROBES[name]]));
}

const [folder, first, count] = process.argv.slice(2);
if (folder === undefined)
  console.log(Object.keys(PROBES).filter(hasFeature).join() || "none");
else for (let seed = Number(first); seed < Number(first) + Number(count); seed++) run(folder, seed);
