// The other side of fuzz/differential: the same modules in Node's V8, the same lines.
//
//     node differential.js FOLDER FIRST_SEED COUNT
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

function memoryHash(memory) {
  const bytes = new Uint8Array(memory.buffer);
  let hash = 2166136261;
  for (let i = 0; i < bytes.length; i++) hash = Math.imul(hash ^ bytes[i], 16777619);
  return ((BigInt(bytes.length) << 32n) | BigInt(hash >>> 0)).toString(16);
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
    lines.push(`t${i} ${outcome} ${memoryHash(exports.m)}`);
  }
  for (const form of ["guard", "explicit", "metered"])
    for (const line of lines) console.log(`${seed} ${form} ${line}`);
}

const [folder, first, count] = process.argv.slice(2);
for (let seed = Number(first); seed < Number(first) + Number(count); seed++) run(folder, seed);
