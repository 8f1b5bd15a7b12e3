/**
 * Flat lifecycle machines and the lookup table derived from them.
 *
 * A link or a command lives too often and too briefly for an actor each (an XState event costs 5 µs, a lookup 0.2 µs),
 * yet the machine is what people read, see and test. So the machine is the one source of truth and the hot path uses
 * `lifecycleTable(machine)`, which takes exactly the machine's transitions: it refuses machines that it cannot mirror.
 */
import type { AnyStateMachine } from "xstate";

/** Next state by state and event type; an event that a state does not handle is absent. */
export type LifecycleTable<State extends string, Event extends string> = Readonly<
  Record<State, Readonly<Partial<Record<Event, State>>>>
>;

/**
 * Derives the table of a flat machine.
 *
 * @throws Error when the machine has anything that a lookup would lose (guards, actions, timers, eventless or wildcard
 * transitions, several candidates, transitions without target, nested states): such a machine needs an actor.
 */
export function lifecycleTable<State extends string, Event extends string>(
  machine: AnyStateMachine,
): LifecycleTable<State, Event> {
  if (machine.root.type !== "compound") throw new Error(`machine ${machine.id} is not flat`);
  refuseUnlessPlain(machine.root);
  if (machine.root.transitions.size > 0) throw new Error(`machine ${machine.id} has transitions of its own`);
  const table: Record<string, Record<string, string>> = {};
  for (const node of Object.values<StateNode>(machine.states)) table[node.key] = rowOf(node);
  return table as LifecycleTable<State, Event>;
}

type StateNode = AnyStateMachine["root"];

function rowOf(node: StateNode): Record<string, string> {
  if (node.type !== "atomic" && node.type !== "final") throw new Error(`state ${node.key} is not flat`);
  refuseUnlessPlain(node);
  const row: Record<string, string> = {};
  for (const [event, candidates] of node.transitions) {
    const [first, ...others] = candidates;
    const target = first?.target?.[0]?.key;
    const plain = others.length === 0 && first?.guard === undefined && first?.actions.length === 0;
    if (!plain || target === undefined || event.includes("*")) {
      throw new Error(`transition ${node.key} on ${event} is not a plain one`);
    }
    row[event] = target;
  }
  return row;
}

/** A delayed transition shows as the entry action that starts its timer. */
function refuseUnlessPlain(node: StateNode): void {
  const acts = node.entry.length + node.exit.length + node.invoke.length > 0;
  if (acts || node.always !== undefined) throw new Error(`state ${node.key} acts or moves by itself`);
}
