/** Known bugs of supervision. */
import type { Mutation } from "./mutation.js";

export const SUPERVISION_MUTATIONS: readonly Mutation[] = [
  {
    name: "restart-after-shutdown",
    bug: "a scheduled restart happens although the supervisor has ended",
    withinSeeds: 40,
    edits: [
      {
        file: "machines/supervisor.ts",
        find: "    this.#roster.isHalted = true;\n    for (const child of this.#roster.all()) {\n      child.cycling = false;\n",
        replace: "    for (const child of this.#roster.all()) {\n      child.cycling = false;\n",
      },
    ],
  },
  {
    name: "start-failures-not-counted",
    bug: "a start that fails does not burn the budget",
    withinSeeds: 300,
    edits: [
      {
        file: "machines/supervisor.ts",
        find: 'const excess = exit.kind === "dependencyDown" ? null',
        replace: 'const excess = exit.kind === "dependencyDown" || exit.reason.startsWith("start failed") ? null',
      },
    ],
  },
  {
    name: "one-restart-too-many",
    bug: "one more restart is borne than the intensity says",
    withinSeeds: 60,
    edits: [
      {
        file: "machines/restart-intensity.ts",
        find: "return history.length > options.intensity;",
        replace: "return history.length > options.intensity + 1;",
      },
      {
        file: "machines/restart-intensity.ts",
        find: "if (history.length > options.intensity + 1) history.shift();",
        replace: "if (history.length > options.intensity + 2) history.shift();",
      },
    ],
  },
  {
    name: "gives-up-in-silence",
    bug: "a supervisor whose restarts are used up does not fail",
    withinSeeds: 300,
    edits: [
      {
        file: "machines/supervisor.ts",
        find: '    this.#actions.push({ type: "supervisor.failed", reason, exit: exit.kind });\n',
        replace: "",
      },
    ],
  },
  {
    name: "replacement-before-exit",
    bug: "a child that failed is replaced before its process has certainly ended",
    withinSeeds: 40,
    edits: [
      {
        file: "src/supervision/supervision.ts",
        find: "else if (incarnation?.hasStarted === true) this.#do(this.#machine.ending(id, exit, this.#nowMs, { kill }));",
        replace: `else if (incarnation?.hasStarted === true) {
      this.#do(this.#machine.ending(id, exit, this.#nowMs, { kill }));
      this.#exited(id, incarnation, exit);
    }`,
      },
    ],
  },
  {
    name: "owned-outlives-parent",
    bug: "a node that ends leaves its own children alive",
    withinSeeds: 40,
    edits: [
      {
        file: "src/node/departure.ts",
        find: "if (this.#tree === null) await this.#shutdownOwned(why);",
        replace: "",
      },
      {
        file: "src/node/ending.ts",
        find: "if (!owned.hasActive) return this.#over(reason);",
        replace: "if (!owned.hasActive || this.#port.core.isOver) return this.#over(reason);",
      },
    ],
  },
  {
    name: "one-for-all-forgets-a-sibling",
    bug: "one_for_all restarts only the siblings that come after the failed child",
    withinSeeds: 100,
    edits: [
      {
        file: "machines/supervisor.ts",
        find: 'let isAfter = this.#options.strategy === "one_for_all";',
        replace: "let isAfter = false;",
      },
    ],
  },
];
