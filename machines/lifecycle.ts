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
 * @throws Error when a transition has a guard, several candidates or no target, or a state has children: such a machine
 * needs an actor.
 */
export function lifecycleTable<State extends string, Event extends string>(
  machine: AnyStateMachine,
): LifecycleTable<State, Event> {
  const table: Record<string, Record<string, string>> = {};
  for (const node of Object.values(machine.states)) {
    if (Object.keys(node.states).length > 0) throw new Error(`state ${node.key} is not flat`);
    const row: Record<string, string> = {};
    for (const [event, transitions] of node.transitions) {
      const [first, ...others] = transitions;
      const target = first?.target?.[0]?.key;
      if (others.length > 0 || first?.guard !== undefined || target === undefined) {
        throw new Error(`transition ${node.key} on ${event} is not a plain one`);
      }
      row[event] = target;
    }
    table[node.key] = row;
  }
  return table as LifecycleTable<State, Event>;
}
