/**
 * What the transport needs of a NATS connection. The connections of `@nats-io/transport-node` 3 and of `nats` 2.29 both
 * have it; a test of types says so, because the second is an optional peer that is never imported here.
 */
export interface NatsConnectionLike {
  /** Undefined while the client is dialling. */
  readonly info?: { readonly max_payload: number } | undefined;
  publish(subject: string, payload: Uint8Array): void;
  subscribe(
    subject: string,
    options: { callback: (error: Error | null, message: NatsMessageLike) => void },
  ): { unsubscribe(): void };
  /** Resolves once the server has processed everything sent before. */
  flush(): Promise<void>;
  /** Resolves, with the reason if it was an error, once the connection has ended for good. */
  closed(): Promise<void | Error>;
  isClosed(): boolean;
  /** Each call returns an iterator of its own. */
  status(): AsyncIterable<NatsStatusLike>;
}

export interface NatsMessageLike {
  readonly subject: string;
  readonly data: Uint8Array;
}

/** Of the union of statuses only what both clients share; version 2 has the error's code in `data`. */
export interface NatsStatusLike {
  readonly type: string;
  readonly error?: Error;
  readonly data?: unknown;
  /** Version 2: what the server refused. */
  readonly permissionContext?: { readonly operation: string; readonly subject: string };
}
