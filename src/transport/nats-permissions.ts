/**
 * What a NATS user needs for a node, and nothing beyond it: with one user for each node, nobody can speak as somebody
 * else. docs/security.md says what that prevents and what it does not.
 */
import { InvalidOptionError } from "../errors.js";
import { assertPath, parentPath } from "../protocol/path.js";
import { broadcastSubject, childrenSubject, downSubject, endSubject, upSubject } from "../protocol/subjects.js";
import { type ResolvedNatsSettings, resolveNatsSettings } from "./nats.js";

export interface NatsPermissionsOptions {
  /** The tree's name, as for `connectNats`. */
  readonly tree: string;
  /** First token of every subject, as for `connectNats`. @default "ft" */
  readonly namespace?: string;
  /** The user's process also holds nodes below the path, for example children that it starts itself. @default false */
  readonly subtree?: boolean;
  /** Paths of nodes elsewhere whose end the process wants to learn by `watch(path)`. @default none */
  readonly watch?: readonly string[];
  /** Paths that the process watches with all nodes below, by `watch(path, { subtree: true })`. @default none */
  readonly watchSubtrees?: readonly string[];
}

/** As a nats-server configuration has them for a user; in a JWT they are called `pub` and `sub`. */
export interface NatsPermissions {
  readonly publish: { readonly allow: readonly string[] };
  readonly subscribe: { readonly allow: readonly string[] };
}

/**
 * The subjects that the user of a process may use which holds the node at `path`. Everything else is refused.
 *
 * @throws InvalidOptionError, InvalidPathError
 */
export function natsPermissions(path: string, options: NatsPermissionsOptions): NatsPermissions {
  if (typeof options !== "object" || options === null) {
    throw new InvalidOptionError("options", options, "an object with at least the tree's name");
  }
  const { subtree = false, watch = [], watchSubtrees = [] } = options;
  const names = resolveNatsSettings(options);
  assertPath("path", path);
  for (const watched of watch) assertPath("watch", watched);
  for (const watched of watchSubtrees) assertPath("watchSubtrees", watched);
  return {
    publish: { allow: subtree ? publishedBySubtree(names, path) : publishedByNode(names, path) },
    subscribe: {
      allow: [
        ...(subtree ? heardBySubtree(names, path) : heardByNode(names, path)),
        // Not secret: who ended, and why.
        endSubject(names, ">"),
        ...watch.flatMap((watched) => signsOfLife(names, watched)),
        ...watchSubtrees.flatMap((top) => [...signsOfLife(names, top), ...signsOfLife(names, `${top}.>`)]),
      ],
    },
  };
}

/** The permissions as a block for one user in a nats-server configuration file. */
export function formatNatsPermissions({ publish, subscribe }: NatsPermissions): string {
  return `permissions ${JSON.stringify({ publish, subscribe }, null, 2)}`;
}

type Names = Pick<ResolvedNatsSettings, "namespace" | "tree">;

function publishedByNode(names: Names, path: string): string[] {
  const own = [downSubject(names, `${path}.*`), broadcastSubject(names, path)];
  const ends = [endSubject(names, path), endSubject(names, `${path}.*`)];
  return [...upward(names, path), ...own, ...ends];
}

function publishedBySubtree(names: Names, path: string): string[] {
  const below = `${path}.>`;
  return [
    ...upward(names, path),
    upSubject(names, below),
    downSubject(names, below),
    broadcastSubject(names, path),
    broadcastSubject(names, below),
    endSubject(names, path),
    endSubject(names, below),
  ];
}

/** A root has nobody above. */
function upward(names: Names, path: string): string[] {
  return parentPath(path) === null ? [] : [upSubject(names, path)];
}

function heardByNode(names: Names, path: string): string[] {
  return [...heardFromAbove(names, path), childrenSubject(names, path)];
}

function heardBySubtree(names: Names, path: string): string[] {
  const below = `${path}.>`;
  return [
    ...heardFromAbove(names, path),
    upSubject(names, below),
    downSubject(names, below),
    broadcastSubject(names, path),
    broadcastSubject(names, below),
  ];
}

function heardFromAbove(names: Names, path: string): string[] {
  const parent = parentPath(path);
  return parent === null ? [] : [downSubject(names, path), broadcastSubject(names, parent)];
}

function signsOfLife(names: Names, watched: string): string[] {
  return [upSubject(names, watched), broadcastSubject(names, watched)];
}
