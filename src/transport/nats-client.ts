/**
 * What a supervisor needs of the NATS clients and their types do not offer. Each of these does nothing where a client has
 * no such member: then what its comment says takes as long as the client takes.
 */

interface ClientInternals {
  readonly protocol?: {
    /** There while a handshake is under way. */
    readonly connectError?: (error: Error) => void;
    readonly transport?: { readonly isClosed?: boolean; readonly socket?: { destroy?: () => void } };
    flushPending?(): void;
  };
}

/**
 * Before it dials again, the client waits until a stale socket has taken what it was given; if the socket's buffers are
 * full, that is until TCP gives up after a quarter of an hour. Destroying the socket ends this wait.
 */
export function destroySocket(connection: object): void {
  (connection as ClientInternals).protocol?.transport?.socket?.destroy?.();
}

/**
 * Ends a handshake whose socket has closed: a server that dies between its greeting and its first PONG leaves the client
 * waiting for that PONG as long as a whole attempt to connect may take, five seconds, or twenty by its defaults.
 */
export function endDeadHandshake(connection: object): void {
  const { protocol } = connection as ClientInternals;
  // A next attempt may have begun already, on a socket that lives.
  if (protocol?.transport?.isClosed === true) protocol.connectError?.(new Error("the server closed the connection"));
}

/**
 * Has the client write what it was given now instead of at the end of the turn, when it would leave together with all
 * that the turn brings, and the two sides would work by turns.
 */
export function writePending(connection: object): void {
  (connection as ClientInternals).protocol?.flushPending?.();
}

/** Both clients' status iterators can be stopped from outside. */
export function stopIteration(statuses: object): void {
  if ("stop" in statuses && typeof statuses.stop === "function") statuses.stop();
}
