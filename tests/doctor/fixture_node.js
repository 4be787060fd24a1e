// Node with Wasm memories that knows what it holds: seeded objects in V8's heap, memories touched
// page by page. Prints its own statistics and waits for the end of stdin.
//
// usage: node fixture_node.js SEED OBJECTS MEMORIES MEMORY_MIB
'use strict';
const v8 = require('v8');
const [seed, objects, count, mib] = process.argv.slice(2).map(Number);

let state = seed;
function next() {
  state = (state * 1103515245 + 12345) % 2147483648;
  return state;
}
const kept = [];
for (let i = 0; i < objects; i++) {
  kept.push({ id: i, text: 'x'.repeat(next() % 40) + i });
}
const memories = [];
for (let i = 0; i < count; i++) {
  const memory = new WebAssembly.Memory({ initial: mib * 16, maximum: mib * 64 });
  new Uint8Array(memory.buffer).fill(1 + (i % 255));
  memories.push(memory);
}
function report() {
  const spaces = v8.getHeapSpaceStatistics();
  const heap = spaces.reduce((sum, space) => sum + space.physical_space_size, 0);
  process.stdout.write(JSON.stringify({
    classes: { wasm_memory: count * mib * 1048576, v8_heap: heap },
    kept: kept.length,
  }) + '\n');
}
// After a collection the heap is what its statistics say.
if (global.gc) {
  global.gc();
}
setTimeout(report, 100);
process.stdin.on('data', () => {}).on('end', () => process.exit(memories.length === 0 ? 1 : 0));
