// V8, as Node has it, in the same measurements as Weir: node FLAGS v8.mjs COMMAND ...
//
//   compute FILE.wasm SCALE     one run per line of stdin, see bench_measure.h
//   call FILE.wasm              the figures of bench_call
//   instantiate FILE.wasm       the figures of bench_instantiate that have a meaning here
//   compile FILE.wasm REPEATS
//
// The main thread's own time comes from /proc/self/schedstat; cpuUsage() makes it exact. The
// compiler's cache of modules is kept from answering by a custom section with a number in it.
import fs from 'node:fs';

const CALLS = 2_000_000;
const CYCLES = 300;
const RUNS = 9;

function threadNs() {
  process.cpuUsage();
  return Number(fs.readFileSync('/proc/self/schedstat', 'latin1').split(' ')[0]);
}

function nowNs() {
  return Number(process.hrtime.bigint());
}

function figure(values) {
  values.sort((a, b) => a - b);
  return { median: values[values.length >> 1], lowest: values[0], highest: values.at(-1) };
}

function measure(run) {
  run();
  return figure(Array.from({ length: RUNS }, run));
}

function instance(path) {
  const module = new WebAssembly.Module(fs.readFileSync(path));
  const host = { nothing() {}, add: (a, b) => (a + b) | 0 };
  return [module, { host }, new WebAssembly.Instance(module, { host })];
}

function compute(path, scale) {
  const { run } = instance(path)[2].exports;
  const chunk = Buffer.alloc(64);
  fs.writeSync(1, '\n');
  while (fs.readSync(0, chunk) > 0) {
    const begin = threadNs();
    const checksum = run(Number(scale));
    const ns = threadNs() - begin;
    const hex = BigInt.asUintN(64, checksum).toString(16).padStart(16, '0');
    fs.writeSync(1, `${ns} ${hex}\n`);
  }
}

function call(path) {
  const { exports } = instance(path)[2];
  const timed = (run) => () => {
    const begin = nowNs();
    run();
    return (nowNs() - begin) / CALLS;
  };
  const loop = timed(() => exports.loop_only(CALLS));
  const beyond = (run) => () => timed(run)() - loop();
  return {
    host_to_guest_empty: measure(timed(() => { for (let i = 0; i < CALLS; i++) exports.empty(); })),
    host_to_guest_add: measure(timed(() => { for (let i = 0; i < CALLS; i++) exports.add(1, 2); })),
    host_to_guest_floats:
      measure(timed(() => { for (let i = 0; i < CALLS; i++) exports.sum(1, 2, 3); })),
    guest_to_host_nothing: measure(beyond(() => exports.call_nothing(CALLS))),
    guest_to_host_add: measure(beyond(() => exports.call_add(CALLS))),
  };
}

function instantiate(path) {
  const [module, imports] = instance(path);
  const cycles = (run) => () => {
    const begin = nowNs();
    for (let i = 0; i < CYCLES; i++) run(new WebAssembly.Instance(module, imports).exports);
    return (nowNs() - begin) / CYCLES / 1e3;
  };
  return {
    empty_1_thread: measure(cycles((exports) => exports.empty())),
    '16_pages_1_thread': measure(cycles((exports) => exports.touch(16))),
  };
}

function compile(path, repeats) {
  const wasm = fs.readFileSync(path);
  const ms = Array.from({ length: Number(repeats) }, (_, i) => {
    const section = Buffer.from([0, 6, 1, 0x78, i & 255, i >> 8, 0, 0]);
    const bytes = Buffer.concat([wasm, section]);
    const begin = nowNs();
    const module = new WebAssembly.Module(bytes);
    return module instanceof WebAssembly.Module ? (nowNs() - begin) / 1e6 : NaN;
  });
  const peak = /VmHWM:\s*(\d+)/.exec(fs.readFileSync('/proc/self/status', 'latin1'))[1];
  return { module_bytes: wasm.length, peak_bytes: Number(peak) * 1024, in_process: figure(ms) };
}

const [command, ...args] = process.argv.slice(2);
const commands = { compute, call, instantiate, compile };
const result = commands[command](...args);
if (result !== undefined) console.log(JSON.stringify(result));
