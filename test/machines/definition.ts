/** Reads a machine's definition: every transition that it can take, statically. */
import type { AnyStateMachine } from "xstate";

export interface Edge {
  /** State, event and place among the candidates; unique within the machine. */
  readonly id: string;
  readonly from: string;
  /** Empty for an eventless transition. */
  readonly event: string;
  /** Null for a transition that stays. */
  readonly to: string | null;
}

interface Candidate {
  readonly eventType: string;
  readonly target: readonly { readonly key: string }[] | undefined;
}

export function edgesOf(machine: AnyStateMachine): readonly Edge[] {
  return Object.values(machine.states).flatMap((node) => [
    ...toEdges(node.key, "", node.always ?? []),
    ...[...node.transitions].flatMap(([event, candidates]) => toEdges(node.key, event, candidates)),
  ]);
}

function toEdges(from: string, event: string, candidates: readonly unknown[]): readonly Edge[] {
  return (candidates as readonly Candidate[]).map((candidate, place) => ({
    id: `${from} ${event || "always"} ${place}`,
    from,
    event,
    to: candidate.target?.[0]?.key ?? null,
  }));
}

export function statesOf(machine: AnyStateMachine): readonly string[] {
  return Object.keys(machine.states);
}

/** Every event that the machine knows, timers included. */
export function eventsOf(machine: AnyStateMachine): readonly string[] {
  return [...new Set(edgesOf(machine).map((edge) => edge.event))].filter((event) => event !== "");
}
