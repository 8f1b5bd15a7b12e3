/** What a store gives a root as its epoch. */
import { atLeast, positiveInteger } from "./option-checks.js";
import type { EpochStore } from "./options.js";

/**
 * A number above all that were given for this path, and at least `least`.
 *
 * @throws InvalidOptionError what the store gave is none; and whatever the store throws
 */
export async function storedEpoch(store: EpochStore, path: string, least: number): Promise<number> {
  const given = positiveInteger("epochStore.next()", await store.next(path, least));
  atLeast("epochStore.next()", given, "the number asked for", least);
  return given;
}
