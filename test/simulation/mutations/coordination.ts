/** Known bugs of calls, sessions, epochs, heartbeats and documents. */
import type { Mutation } from "./mutation.js";

export const COORDINATION_MUTATIONS: readonly Mutation[] = [
  {
    name: "no-dedupe",
    bug: "a repeated call runs again, although its outcome is known",
    withinSeeds: 40,
    edits: [
      {
        file: "src/node/executor.ts",
        find: "const outcome = this.#known.outcomeOf(id);",
        replace: "const outcome = undefined as Outcome | undefined;",
      },
    ],
  },
  {
    name: "ack-before-run",
    bug: "a call is answered as completed when its handler starts",
    withinSeeds: 10,
    edits: [
      {
        file: "src/node/executor.ts",
        find: "      const result = entry.handler(decodeInput(entry.call.input), entry, this.#core);",
        replace: `      const input = decodeInput(entry.call.input);
      const { value } = input as { value: unknown };
      entry.sink.settle(completed(encodePayload({ echo: value, path: "" }, "result")));
      const result = entry.handler(input, entry);`,
      },
    ],
  },
  {
    name: "gap-not-noticed",
    bug: "a message after a lost one is taken, and the lost one counts as received",
    withinSeeds: 300,
    edits: [
      {
        file: "src/node/channel.ts",
        find: "if (ahead === 1) this.#advance(message);\n    else if (ahead > 1) this.#keep(message, ahead);",
        replace: "if (ahead >= 1) this.#advance(message);",
      },
    ],
  },
  {
    name: "no-retransmission",
    bug: "what was lost is not sent again",
    withinSeeds: 20,
    edits: [
      { file: "src/node/channel.ts", find: "if (lastSeq > 0) this.#sender?.written(lastSeq, nowMs);", replace: "" },
    ],
  },
  {
    name: "begun-called-not-started",
    bug: "a call whose executor was lost after it may have begun counts as not started",
    withinSeeds: 40,
    edits: [
      {
        file: "src/node/call-table.ts",
        find: 'this.#settle(entry, uncompleted("unknown", "EXECUTOR_LOST", `${why} after the call may have begun`));',
        replace: 'this.#settle(entry, refused("UNAVAILABLE", why));',
      },
    ],
  },
  {
    name: "repeats-what-is-not-idempotent",
    bug: "a call that is not idempotent is sent again to another executor",
    withinSeeds: 60,
    edits: [
      {
        file: "src/node/call-table.ts",
        find: "if (wasSent && !sameExecutor && !entry.call.content.idempotent)\n      return",
        replace: "if (entry.state !== entry.state) return",
      },
      {
        file: "src/node/call-table.ts",
        find: 'if (call.content.idempotent && state !== "cancelling") {',
        replace: 'if (state !== "cancelling") {',
      },
    ],
  },
  {
    name: "broadcasts-to-whoever-listens",
    bug: "a command that is not idempotent goes to all, also while a process that was replaced may hear it",
    withinSeeds: 2_000,
    edits: [{ file: "src/node/caller.ts", find: "alone: !idempotent", replace: "alone: idempotent && !idempotent" }],
  },
  {
    name: "deadline-starts-anew",
    bug: "a call that waits longer than its deadline is not given up",
    withinSeeds: 20,
    edits: [
      {
        file: "src/node/call-table.ts",
        find: "if (caller.content.deadlineAtMs <= nowMs) this.#expire(entry, caller);",
        replace: "if (caller.content.deadlineAtMs <= nowMs - 1_000) this.#expire(entry, caller);",
      },
      {
        file: "src/node/call-table.ts",
        find: "nextMs = Math.min(nextMs, content.deadlineAtMs);",
        replace: "nextMs = Math.min(nextMs, content.deadlineAtMs + 1_000);",
      },
    ],
  },
  {
    name: "epoch-reset-on-restart",
    bug: "every incarnation of a child is granted the same epoch",
    withinSeeds: 10,
    edits: [
      {
        file: "src/node/admission.ts",
        find: "return grantEpoch(this.#core.epoch, ++this.#grants);",
        replace: "return grantEpoch(this.#core.epoch, 1);",
      },
    ],
  },
  {
    name: "stale-epoch-accepted",
    bug: "a superseded process gets its path back",
    withinSeeds: 60,
    edits: [
      {
        file: "src/node/admission.ts",
        find: "return compareEpochs(epoch, link.epoch) > 0 ? epoch : null;",
        replace: "return epoch;",
      },
    ],
  },
  {
    name: "fencing-ignored",
    bug: "a process goes on when it is told that it was superseded",
    withinSeeds: 60,
    edits: [{ file: "src/node/uplink.ts", find: "    this.#port.superseded(epoch);\n", replace: "" }],
  },
  {
    name: "works-before-confirmed",
    bug: "a process that stood still starts handlers before its parent has confirmed that it holds its path",
    withinSeeds: 200,
    edits: [
      {
        file: "src/node/lease.ts",
        find: "return this.#confirmingSeq === 0 && !this.#isPaused();",
        replace: "return !this.#isPaused();",
      },
    ],
  },
  {
    name: "verdict-on-late-tick",
    bug: "a process that stood still judges others before it has read what arrived meanwhile",
    withinSeeds: 200,
    edits: [
      { file: "src/node/pulse.ts", find: "    if (isLate) this.#judgeAfterDraining();\n    else ", replace: "    " },
      {
        file: "src/node/pulse.ts",
        find: "    this.#port.stalled(latenessMs);\n    if (isLate)",
        replace: "    if (isLate)",
      },
    ],
  },
  {
    name: "suspect-is-dead",
    bug: "a child that is silent for a moment is declared dead",
    withinSeeds: 2_000,
    edits: [
      {
        file: "src/node/vigil.ts",
        find: 'if (link.judge(nowMs) === "dead") link.close(',
        replace: 'if (link.judge(nowMs) !== "alive") link.close(',
      },
    ],
  },
  {
    name: "heartbeat-at-fixed-rate",
    bug: "beats come at the shortest interval for ever",
    withinSeeds: 10,
    edits: [
      {
        file: "src/node/pulse.ts",
        find: "return isCalm ? this.#longestMs(true) : growInterval(intervalMs, this.#core.options.heartbeat);",
        replace:
          "return Math.min(growInterval(intervalMs + 1e9, this.#core.options.heartbeat), this.#core.options.heartbeat.minMs);",
      },
    ],
  },
  {
    name: "runs-without-document",
    bug: "a command runs before the document that it needs has arrived",
    withinSeeds: 60,
    edits: [
      {
        file: "src/node/command-router.ts",
        find: "if (message.minSyncVersion <= receivedVersion) return",
        replace: "if (message.minSyncVersion <= receivedVersion + 1e9) return",
      },
    ],
  },
  {
    name: "leaves-before-done",
    bug: "a node that stops takes leave while its handlers still run",
    withinSeeds: 200,
    edits: [
      {
        file: "src/node/departure.ts",
        find: "    await withDeadline(core, accepted, this.#workPatience());\n",
        replace: "    void accepted;\n",
      },
      { file: "src/node/departure.ts", find: '    this.#port.endCalls("the node is stopping");\n', replace: "" },
    ],
  },
  {
    name: "no-deadline-to-stop",
    bug: "a node that ends waits for others beyond its deadline",
    withinSeeds: 500,
    edits: [
      { file: "src/node/departure.ts", find: "    this.#armDeadline(reason);\n    await", replace: "    await" },
      {
        file: "src/node/departure.ts",
        find: "const patience = this.#patience(untilMs);",
        replace: "const patience = this.#patience(() => nowMs + 60_000);",
      },
    ],
  },
  {
    name: "newcomers-get-no-document",
    bug: "a child that attaches after a document was published does not get it",
    withinSeeds: 40,
    edits: [
      {
        file: "src/node/synchronizer.ts",
        find: "if (version < this.#version) this.#send(link);",
        replace: "if (version > this.#version) this.#send(link);",
      },
    ],
  },
];
