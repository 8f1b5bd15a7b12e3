/** What operators see: one structured event for each decision, and one line in the log with a stable name. */
import { describe, expect, test } from "vitest";
import type { SupervisionEvent } from "../../src/index.js";
import { World } from "../node/kit.js";
import { declared, family, only } from "./kit.js";

interface Line {
  readonly level: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

function journal() {
  const lines: Line[] = [];
  const at = (level: string) => (fields: object, message: string) =>
    void lines.push({ level, fields: fields as Line["fields"], message });
  return { lines, logger: { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") } };
}

/** A life with every decision in it. */
async function eventful() {
  const world = new World();
  const { lines, logger } = journal();
  const { shop, of, decisions } = family(world, ["a", "b", "c"], {
    logger,
    each: { b: { restart: "temporary", significant: true }, c: { host: {}, shutdown: 1_000 } },
    supervision: { autoShutdown: "any_significant", childIntensity: 1, cooldownMs: 5_000 },
  });
  await world.up(shop);
  of("a").latest.fail("out of luck");
  await world.until(() => only(decisions, "ready").length === 4);
  of("a").latest.fail("again");
  await world.until(() => only(decisions, "ready").length === 5);
  const rival = world.node({ path: "shop.a" });
  await rival.start();
  await world.until(() => only(decisions, "adopted").length === 1);
  of("c").process.stop();
  await world.settle(shop.terminateChild("c"));
  await world.end(of("b").latest);
  await world.settle(shop.ended);
  return { world, lines, decisions, of };
}

describe("supervision.decided", () => {
  test("tells child, incarnation, epoch, reason, attempt, delay and what is left of the budget", async () => {
    const { decisions, of } = await eventful();
    const short = ({ id, generation, decision, exit, reason, attempt }: SupervisionEvent) =>
      [id, generation, decision, exit, reason, attempt] as const;
    // Of three that start at once, whoever is ready first.
    const ready1 = decisions.slice(3, 6).toSorted((a, b) => a.id.localeCompare(b.id));
    expect([...decisions.slice(0, 3), ...ready1, ...decisions.slice(6)].map(short)).toEqual([
      ["a", 1, "started", null, "", 0],
      ["b", 1, "started", null, "", 0],
      ["c", 1, "started", null, "", 0],
      ["a", 1, "ready", null, "", 0],
      ["b", 1, "ready", null, "", 0],
      ["c", 1, "ready", null, "", 0],
      ["a", 1, "restarting", "failed", "out of luck", 1],
      ["a", 2, "started", null, "", 1],
      ["a", 2, "ready", null, "", 1],
      ["a", 2, "cooling", "failed", "again", 0],
      ["a", 3, "started", null, "", 0],
      ["a", 3, "ready", null, "", 0],
      ["a", 3, "restarting", "failed", "fenced", 1],
      ["a", 4, "adopted", null, "", 1],
      ["c", 1, "killed", null, "it did not end in time", 0],
      ["c", 1, "terminated", "failed", "SIGKILL", 0],
      ["b", 1, "finished", "normal", "stopped", 0],
      ["b", 1, "shutdown", "normal", "significant child b ended: stopped", 0],
      ["a", 4, "terminated", "normal", "it left", 1],
    ]);
    const budgets = decisions.filter(({ id }) => id === "a").map(({ budgetLeft }) => budgetLeft);
    // Of the child, and of all children together; a cooldown begins both anew.
    expect(budgets.map(({ child, supervisor }) => `${child} ${supervisor}`)).toEqual([
      "1 10",
      "1 10",
      "0 9",
      "0 9",
      "0 9",
      "1 10",
      "1 10",
      "1 10",
      "0 9",
      "0 9",
      "0 9",
    ]);
    for (const { decision, delayMs } of decisions) {
      if (decision === "cooling") expect(delayMs).toBe(5_000);
      else if (decision === "restarting") expect(delayMs).toBeGreaterThanOrEqual(100);
      else expect(delayMs).toBeNull();
    }
    const ready = decisions.filter(({ id, decision }) => id === "a" && decision === "ready");
    expect(ready.map(({ epoch }) => epoch)).toEqual(of("a").nodes.map((_, index) => ready[index]?.epoch));
    expect(new Set(ready.map(({ epoch }) => epoch)).size).toBe(3);
    expect(decisions[0]?.epoch).toBe("");
    const times = decisions.map(({ atMs }) => atMs);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
  });

  test("is a line in the log, too, loud where somebody may have to look", async () => {
    const { lines, decisions } = await eventful();
    const told = lines.filter(({ fields }) => String(fields["event"]).startsWith("supervision."));
    expect(told.map(({ fields }) => fields["event"])).toEqual(
      decisions.map(({ decision }) => `supervision.${decision}`),
    );
    for (const [index, { fields, level, message }] of told.entries()) {
      const decision = decisions[index] as SupervisionEvent;
      expect(fields).toEqual({ event: `supervision.${decision.decision}`, path: "shop", ...decision });
      expect(level).toBe(["restarting", "cooling", "killed"].includes(decision.decision) ? "warn" : "info");
      const why = decision.reason === "" ? "" : `: ${decision.reason}`;
      expect(message).toBe(`child ${decision.id} ${decision.decision}${why}`);
    }
  });

  test("of an escalation is loud", async () => {
    const world = new World();
    const { lines, logger } = journal();
    const { shop, of } = family(world, ["a", "b"], { logger, supervision: { childIntensity: 0 } });
    await world.up(shop);
    of("a").latest.fail("out of luck");
    await world.until(() => shop.state === "FAILED");
    const escalated = lines.find(({ fields }) => fields["event"] === "supervision.escalated");
    expect(escalated).toMatchObject({ level: "warn", fields: { id: "a", generation: 1, path: "shop" } });
    expect(escalated?.fields["reason"]).toMatch(
      /^restart intensity exceeded: more than 0 restarts in 30000 ms \(child\)/,
    );
  });

  test("is a stream for whoever likes that better, which ends with the node", async () => {
    const world = new World();
    const { spec } = declared("a");
    const shop = world.node({ path: "shop", children: [spec] });
    const seen: string[] = [];
    const read = (async () => {
      for await (const { id, decision } of shop.events("supervision.decided")) seen.push(`${id} ${decision}`);
    })();
    await world.up(shop);
    await world.settle(shop.stop());
    await world.settle(read, 1_000);
    expect(seen).toEqual(["a started", "a ready", "a terminated"]);
  });
});
