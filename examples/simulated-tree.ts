/**
 * Teaches: your own tree under faults, in virtual time: processes are killed, stopped and cut off at random, messages are
 * lost and doubled, and an invariant of yours is checked after every step. The same seed gives the same run.
 *
 *   npm run build && npx tsx examples/simulated-tree.ts
 */
import { createNode } from "fractal-tree";
import { SimulatedWorld } from "fractal-tree/testing";

/** Runs one seed; throws when something does not hold. */
async function survive(seed: number): Promise<{ reserved: number; faults: number }> {
  const world = new SimulatedWorld({ seed, network: { drop: 0.1, duplicate: 0.1, maxDelayMs: 50, reorder: true } });
  /** How often each order was reserved, by whatever process. */
  const reserved = new Map<number, number>();

  // A service as in production, given the simulated transport, clock and randomness of its process.
  const orders = world.starter((here, { path }) =>
    createNode({
      path,
      ...here,
      commands: { reserve: (order: number) => reserved.set(order, (reserved.get(order) ?? 0) + 1).size },
    }),
  );
  world.process("shop", (here) =>
    createNode({
      path: "shop",
      ...here,
      children: [{ id: "orders", start: orders }],
      supervision: { cooldownMs: 1_000 },
    }),
  );
  world.process("stock", (here) => createNode({ path: "shop.stock", ...here }));

  // Work goes on while faults happen.
  let order = 0;
  const work = (): void => {
    world.clock.setTimeout(work, 100);
    const shop = world.node("shop");
    const isReady = world.host("shop").isAlive && shop.state === "SYNCHRONIZED";
    if (isReady) void shop.tryCommand("orders", "reserve", ++order, { timeoutMs: 2_000 });
  };
  work();

  // Commands that are not declared idempotent run at most once.
  const check = (): void => {
    for (const [id, times] of reserved) if (times > 1) throw new Error(`order ${id} was reserved ${times} times`);
  };
  try {
    await world.shake({ forMs: 20_000, check });
    const isWhole = (): boolean => world.node("shop").state === "SYNCHRONIZED";
    if (!(await world.until(isWhole, { withinMs: 60_000 }))) throw new Error("the tree did not recover");
  } catch (error) {
    throw new Error(`seed ${seed} broke after:\n${world.log.join("\n")}`, { cause: error });
  }
  return { reserved: reserved.size, faults: world.log.length };
}

let reserved = 0;
let faults = 0;
for (let seed = 1; seed <= 20; seed++) {
  const run = await survive(seed);
  reserved += run.reserved;
  faults += run.faults;
}
console.log(`20 seeds: ${faults} faults, ${reserved} orders reserved, none twice, and every tree recovered`);
