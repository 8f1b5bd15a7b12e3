/** What the fuzzer found, each as the few frames that it came down to. */
import { expect, test } from "vitest";
import { type Knowledge, knowledgeOf } from "./knowledge.js";
import { LiveTree } from "./live-tree.js";
import { said } from "./speech.js";

const ABSURD = 2 ** 40;

const known = ({ world }: LiveTree): Knowledge => knowledgeOf(world.wire, "", "shop.a");

/** As shop.a. */
function say({ world }: LiveTree, frame: Uint8Array): void {
  world.broker.publish("ft.local.up.shop.a", frame);
}

function announcement(tree: LiveTree, attempt: number): Uint8Array {
  const { childBoot, epoch, parentEpoch } = known(tree);
  return said("", "ready.announce", { childBoot, attempt, epoch, parentEpoch });
}

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
  say(tree, announcement(tree, ABSURD));
  await tree.world.run(1);
  say(tree, said(known(tree).session, "ack.frame"));
  await tree.world.run(20_000);
  expect(tree.events).toContain("shop sees a dead");
  await expectMended(tree);
});

// Its announcements were older than the invented one, whose offer nobody would ever use.
test("an offer to an invented attempt number does not keep the child out for good", async () => {
  const tree = await LiveTree.grow(1);
  const farewell = said(known(tree).session, "status.leaving");
  say(tree, announcement(tree, ABSURD));
  say(tree, farewell);
  await tree.world.run(1);
  expect(tree.events).toContain("shop sees a left");
  await tree.world.run(20_000);
  await expectMended(tree);
});

// It remembered the invented epoch, below which it takes no parent, and above which no parent can go.
test("an offer in the name of a parent with the greatest of all epochs does not keep the child for good", async () => {
  const tree = await LiveTree.grow(1);
  const { parentBoot, childBoot, epoch, broadcastSession, attempt } = known(tree);
  const parentEpoch = [Number.MAX_SAFE_INTEGER];
  const offer = {
    parentBoot,
    parentEpoch,
    childBoot,
    attempt: attempt + 1,
    session: "forged",
    epoch,
    broadcastSession,
  };
  const { broker } = tree.world;
  // In one turn: the offer is there before that of the parent which it calls.
  broker.publish("ft.local.all.shop", said(broadcastSession, "shutdown.leaving"));
  broker.publish("ft.local.down.shop.a", said("", "init.open", offer));
  await tree.world.run(20_000);
  expect(tree.node("shop.a").status.dropped).toHaveProperty("impossible epoch", 1);
  await expectMended(tree);
});
