import { createActor } from "xstate";
import { coordinationMachine } from "./machines/coordination.js";
const th = { degraded: { count: 1 }, failed: { count: 1 } } as any;
const input = { initTimeoutMs: 10000, recoveryTimeoutMs: null, cleanupTimeoutMs: 1000, hasUplink: true, thresholds: th };
const gc = () => { for (let i = 0; i < 3; i++) (globalThis as any).gc(); return process.memoryUsage().heapUsed; };
const N = 10000;
function run(name: string, make: () => any) {
  const keep: any[] = []; for (let i = 0; i < 500; i++) keep.push(make());
  const b = gc(); const t = performance.now(); for (let i = 0; i < N; i++) keep.push(make()); const ms = performance.now() - t;
  console.log(name, ((gc() - b) / N).toFixed(0), "B", (ms * 1000 / N).toFixed(1), "µs"); return keep;
}
const clock = { setTimeout: (f: any, ms: number) => ({}), clearTimeout: () => {} } as any;
const drive = (a: any) => { a.start(); a.send({ type: "coordination.requested", counts: { listed: 0, alive: 0, failed: 0, criticalFailed: 0, pending: 0 } as any }); a.send({ type: "uplink.opened" }); return a; };
run("root", () => drive(createActor(coordinationMachine, { clock, input, id: "x" })));
run("root + 5 listeners", () => { const a = createActor(coordinationMachine, { clock, input, id: "x" }); for (const t of ["state.entered","effect.callChildren","effect.reportUp","effect.retry","effect.cleanUp"] as const) a.on(t, () => {}); return drive(a); });
run("root + * listener", () => { const a = createActor(coordinationMachine, { clock, input, id: "x" }); a.on("*", () => {}); return drive(a); });
const hub = createActor(coordinationMachine, { clock, input: { ...input }, id: "hub" });
run("parent + * listener", () => { const a = createActor(coordinationMachine, { input, id: "x", parent: hub } as any); a.on("*", () => {}); return drive(a); });
run("parent", () => drive(createActor(coordinationMachine, { input, id: "x", parent: hub } as any)));
