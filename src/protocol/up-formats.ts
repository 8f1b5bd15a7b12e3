/** How each message of a child travels; see `down-formats.ts`. */
import type { MessageFormats } from "./down-formats.js";
import { readEpoch, readId, readMeta, readText, writeEpoch, writeFailure, writeMeta } from "./fields.js";
import type { CompleteCommand, UpMessage } from "./messages.js";
import { TEXT_BYTES_MAX } from "./writer.js";

/** Headers of a text and a payload. */
const COMPLETION_REST_BYTES = 2 * 5;

export const UP_FORMATS: MessageFormats<UpMessage> = {
  "ack.frame": { write() {}, read: (_, seq) => ({ kind: "ack.frame", seq }) },

  "ack.shutdown": { write() {}, read: (_, seq) => ({ kind: "ack.shutdown", seq }) },

  "status.report": {
    write(writer, message) {
      writer.int(message.nextInMs);
      writer.int(message.localHealth);
      writer.int(message.state);
      writer.int(message.reasons);
      writer.int(message.running);
      writer.int(message.queued);
      writer.int(message.nodes);
      writer.int(message.available);
      writer.int(message.syncVersion);
      writer.int(message.progress);
    },
    read: (reader, seq) => ({
      kind: "status.report",
      seq,
      nextInMs: reader.uint(),
      localHealth: reader.uint(),
      state: reader.uint(),
      reasons: reader.uint(),
      running: reader.uint(),
      queued: reader.uint(),
      nodes: reader.uint(),
      available: reader.uint(),
      syncVersion: reader.uint(),
      progress: reader.uint(),
    }),
  },

  "status.progress": {
    write(writer, message) {
      writer.text(message.commandId);
      writer.bin(message.value);
    },
    read: (reader, seq) => ({ kind: "status.progress", seq, commandId: readId(reader), value: reader.bin() }),
  },

  "status.leaving": {
    write: (writer, { reason }) => writer.text(reason),
    read: (reader, seq) => ({ kind: "status.leaving", seq, reason: readText(reader) }),
  },

  "status.syncRequest": {
    write: (writer, { version }) => writer.int(version),
    read: (reader, seq) => ({ kind: "status.syncRequest", seq, version: reader.uint() }),
  },

  "status.request": {
    write(writer, message) {
      writer.text(message.requestId);
      writer.text(message.name);
      writer.bin(message.input);
      writer.int(message.deadlineMs);
      writeMeta(writer, message.meta);
    },
    read: (reader, seq) => ({
      kind: "status.request",
      seq,
      requestId: readId(reader),
      name: readId(reader),
      input: reader.bin(),
      deadlineMs: reader.uint(),
      meta: readMeta(reader),
    }),
  },

  "status.cancelRequest": {
    write: (writer, { requestId }) => writer.text(requestId),
    read: (reader, seq) => ({ kind: "status.cancelRequest", seq, requestId: readId(reader) }),
  },

  "status.data": {
    write: (writer, { data }) => writer.bin(data),
    read: (reader, seq) => ({ kind: "status.data", seq, data: reader.bin() }),
  },

  "error.command": {
    write(writer, message) {
      writer.text(message.commandId);
      writeFailure(writer, message);
    },
    read: (reader, seq) => ({
      kind: "error.command",
      seq,
      commandId: readId(reader),
      status: reader.uint(),
      code: readId(reader),
      message: readText(reader),
      handlerCode: readText(reader),
    }),
  },

  "error.fenced": {
    write(writer, message) {
      writer.text(message.boot);
      writeEpoch(writer, message.epoch);
    },
    read: (reader, seq) => ({ kind: "error.fenced", seq, boot: readId(reader), epoch: readEpoch(reader) }),
  },

  "error.unsupported": {
    write(writer, message) {
      writer.int(message.type);
      writer.int(message.unknownKind);
    },
    read: (reader, seq) => ({ kind: "error.unsupported", seq, type: reader.uint(), unknownKind: reader.uint() }),
  },

  "error.node": {
    write(writer, message) {
      writer.text(message.reason);
      writer.bool(message.dependencyDown);
    },
    read: (reader, seq) => ({ kind: "error.node", seq, reason: readText(reader), dependencyDown: reader.bool() }),
  },

  "error.duplicate": {
    write: (writer, { boot }) => writer.text(boot),
    read: (reader, seq) => ({ kind: "error.duplicate", seq, boot: readId(reader) }),
  },

  "ready.announce": {
    write(writer, message) {
      writer.text(message.treeId);
      writer.text(message.childBoot);
      writer.int(message.attempt);
      writeEpoch(writer, message.epoch);
      writeEpoch(writer, message.parentEpoch);
      writer.int(message.versionMin);
      writer.int(message.versionMax);
    },
    read: (reader, seq) => ({
      kind: "ready.announce",
      seq,
      treeId: readId(reader),
      childBoot: readId(reader),
      attempt: reader.uint(),
      epoch: readEpoch(reader),
      parentEpoch: readEpoch(reader),
      versionMin: reader.uint(),
      versionMax: reader.uint(),
    }),
  },

  "ready.subtree": {
    write: (writer, { state }) => writer.int(state),
    read: (reader, seq) => ({ kind: "ready.subtree", seq, state: reader.uint() }),
  },

  "complete.command": {
    write(writer, message) {
      writer.text(message.commandId);
      writer.bin(message.output);
    },
    read: (reader, seq) => ({ kind: "complete.command", seq, commandId: readId(reader), output: reader.bin() }),
  },

  "complete.shutdown": { write() {}, read: (_, seq) => ({ kind: "complete.shutdown", seq }) },
};

/** What the fields take at most, bytes. */
export function estimateCompletion({ commandId, output }: CompleteCommand): number {
  return commandId.length * TEXT_BYTES_MAX + output.length + COMPLETION_REST_BYTES;
}
