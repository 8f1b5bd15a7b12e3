/** What a store gives a root as its epoch. */
import { InvalidOptionError } from "../errors.js";
import { positiveInteger } from "./option-checks.js";
import type { EpochStore } from "./options.js";

/**
 * A number above all that were given for this path, and at least `atLeast`.
 *
 * @throws InvalidOptionError what the store gave is none; and whatever the store throws
 */
export async function storedEpoch(store: EpochStore, path: string, atLeast: number): Promise<number> {
  const given = positiveInteger("epochStore.next()", await store.next(path, atLeast));
  if (given < atLeast) throw new InvalidOptionError("epochStore.next()", given, `an integer >= ${atLeast}`);
  return given;
}
