/** The `nats` package of version 2 is an optional peer: its connections must satisfy the port, in types too. */
import type { NatsConnection as NatsConnection3 } from "@nats-io/transport-node";
import type { NatsConnection as NatsConnection2 } from "nats";
import { expectTypeOf, test } from "vitest";
import type { NatsConnectionLike } from "../../src/nats.js";
import { openUser2 } from "./clients.js";
import { natsConformance } from "./nats-conformance.js";

natsConformance("natsTransport over nats 2.29", openUser2);

test("the connections of both clients are NatsConnectionLike", () => {
  expectTypeOf<NatsConnection2>().toExtend<NatsConnectionLike>();
  expectTypeOf<NatsConnection3>().toExtend<NatsConnectionLike>();
});
