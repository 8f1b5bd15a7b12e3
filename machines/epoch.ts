/**
 * An epoch is a node's incarnation: the list of counters granted from the root down, compared lexicographically.
 *
 * A parent grants `[...its own epoch, ++counter]`, so that a new incarnation of any ancestor outranks everything
 * that an older incarnation granted, without a shared store.
 */
export type Epoch = readonly number[];

/** Orders epochs: negative when `a` is older than `b`, zero when equal, positive when newer. */
export function compareEpochs(a: Epoch, b: Epoch): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Largest first number that anybody may claim to have seen: there must be room above it. */
const HEAD_MAX = 2 ** 52;

/** Whether a root can outrank it; otherwise somebody has invented it. */
export function isEpochPossible(epoch: Epoch): boolean {
  return (epoch[0] ?? 0) <= HEAD_MAX;
}

/** The epoch that a grantor gives for its `counter`-th grant. */
export function grantEpoch(grantor: Epoch, counter: number): Epoch {
  // Not spread: an array that grew keeps room for sixteen more. Frozen: parent and child may share it, and hand it to users.
  return Object.freeze(grantor.concat(counter));
}

/** Dotted form for logs and fencing tokens, for example `1763696095000.3.1`. */
export function formatEpoch(epoch: Epoch): string {
  return epoch.join(".");
}
