/** Holds what the tree found against the plain digest. */
import { digestOfAll, type FileDigests } from "./files.js";

export interface Comparison {
  /** The tree's result is the plain one: the same files, each once, with the same content. */
  readonly isSame: boolean;
  readonly digest: string;
  readonly plainDigest: string;
  /** Files that the tree has no result for. */
  readonly lost: readonly string[];
  /** Files that the tree gave more than one result for. */
  readonly doubled: readonly string[];
  /** Files with another digest than the plain one, or that the plain digest does not have. */
  readonly differing: readonly string[];
}

export function compareDigests(tree: FileDigests, doubled: readonly string[], plain: FileDigests): Comparison {
  const digest = digestOfAll(tree);
  const plainDigest = digestOfAll(plain);
  const lost = [...plain.keys()].filter((path) => !tree.has(path));
  const differing = [...tree.keys()].filter((path) => tree.get(path)?.sha256 !== plain.get(path)?.sha256);
  const isSame = digest === plainDigest && lost.length + doubled.length + differing.length === 0;
  return { isSame, digest, plainDigest, lost, doubled, differing };
}
