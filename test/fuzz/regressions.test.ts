/** What the fuzzer found, each as the few frames that it came down to. */
import { expect, test } from "vitest";
import type { World } from "../node/kit.js";
import { rawFrame, type RawFrame, type RawMessage } from "../node/raw-peers.js";
import { knowledgeOf } from "./knowledge.js";
import { LiveTree } from "./live-tree.js";

const ABSURD = 2 ** 40;

function publish({ broker }: World, subject: string, frame: RawFrame): void {
  broker.publish(`ft.local.${subject}`, rawFrame(frame));
}

/** treeId, childBoot, attempt, epoch, parentEpoch, versionMin, versionMax */
function announcement({ world }: LiveTree, attempt: number): RawMessage {
  const { childBoot, epoch, parentEpoch } = knowledgeOf(world.wire, "", "shop.a");
  return [9, 0, 0, "local", childBoot, attempt, epoch, parentEpoch, 1, 1];
}

const session = ({ world }: LiveTree): string => knowledgeOf(world.wire, "", "shop.a").session;

async function expectMended(tree: LiveTree): Promise<void> {
  await tree.isWhole();
  await tree.calm();
  expect(await tree.serves()).toBe(true);
  expect(tree.ends).toEqual([]);
  await tree.end();
}

// Its announcements counted as late for ever: the number of the invented one was higher.
test("who used a session with an invented attempt number does not keep the child out for good", async () => {
  const tree = await LiveTree.grow(1);
  publish(tree.world, "up.shop.a", { messages: [announcement(tree, ABSURD)] });
  await tree.world.run(1);
  publish(tree.world, "up.shop.a", { session: session(tree), messages: [[6, 0, 0]] });
  await tree.world.run(20_000);
  expect(tree.events).toContain("shop sees a dead");
  await expectMended(tree);
});

// Its announcements were older than the invented one, whose offer nobody would ever use.
test("an offer to an invented attempt number does not keep the child out for good", async () => {
  const tree = await LiveTree.grow(1);
  const farewell: RawFrame = { session: session(tree), messages: [[7, 2, 0, "forged"]] };
  publish(tree.world, "up.shop.a", { messages: [announcement(tree, ABSURD)] });
  publish(tree.world, "up.shop.a", farewell);
  await tree.world.run(1);
  expect(tree.events).toContain("shop sees a left");
  await tree.world.run(20_000);
  await expectMended(tree);
});
