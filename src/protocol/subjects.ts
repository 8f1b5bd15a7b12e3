/**
 * Subjects carry identity: direction and sender are tokens, so that the server's permissions keep nodes honest and a
 * wildcard observes a subtree. The payload never names its sender.
 */
import type { Transport } from "../transport/transport.js";
import { lastToken } from "./path.js";

type Names = Pick<Transport, "namespace" | "tree">;

/** What the node at `path` tells its parent. */
export function upSubject(names: Names, path: string): string {
  return `${names.namespace}.${names.tree}.up.${path}`;
}

/** What all children of `path` tell it. */
export function childrenSubject(names: Names, path: string): string {
  return `${names.namespace}.${names.tree}.up.${path}.*`;
}

/** What the parent of `path` tells that node. */
export function downSubject(names: Names, path: string): string {
  return `${names.namespace}.${names.tree}.down.${path}`;
}

/** What `path` tells all its children at once. */
export function broadcastSubject(names: Names, path: string): string {
  return `${names.namespace}.${names.tree}.all.${path}`;
}

/** That the node at `path` has ended: told by itself or by its parent, heard by whoever watches it. */
export function endSubject(names: Names, path: string): string {
  return `${names.namespace}.${names.tree}.end.${path}`;
}

/** The child that published on a subject matched by `childrenSubject`. */
export function senderId(subject: string): string {
  return lastToken(subject);
}
