/** The public subpath `fractal-tree/nats`. */
export { connectNats } from "./transport/connect-nats.js";
export { natsTransport } from "./transport/nats.js";
export { formatNatsPermissions, natsPermissions } from "./transport/nats-permissions.js";
export type { NatsOptions } from "./transport/connect-nats.js";
export type { NatsTransportOptions, NatsTransportSettings } from "./transport/nats.js";
export type { NatsPermissions, NatsPermissionsOptions } from "./transport/nats-permissions.js";
export type { NatsConnectionLike, NatsMessageLike, NatsStatusLike } from "./transport/nats-connection.js";
