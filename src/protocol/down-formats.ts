/**
 * How each message of a parent travels: its fields in the order of its layout, written and read one by one. A loop over the
 * layouts would say it once for all, but V8 would look up each property by its name; a test holds both to the same bytes.
 */
import {
  estimateMeta,
  readAcks,
  readEpoch,
  readId,
  readMeta,
  readTarget,
  readText,
  writeAcks,
  writeEpoch,
  writeFailure,
  writeMeta,
} from "./fields.js";
import type { CommandRun, DownMessage, Message } from "./messages.js";
import type { Reader } from "./reader.js";
import { TEXT_BYTES_MAX, type Writer } from "./writer.js";

/**
 * Its functions write a message, and read what was written. An object of a kind has its properties in the same order
 * wherever it is made, so that V8 takes all of them for alike.
 */
export interface MessageFormat<M> {
  write(writer: Writer, message: M): void;
  read(reader: Reader, seq: number): M;
}

export type MessageFormats<M extends Message> = { readonly [K in M["kind"]]: MessageFormat<Extract<M, { kind: K }>> };

/** Headers of texts and payloads, and numbers. */
const COMMAND_REST_BYTES = 4 * 5 + 3 * 9;

export const DOWN_FORMATS: MessageFormats<DownMessage> = {
  "init.probe": {
    write(writer, message) {
      writer.text(message.treeId);
      writer.text(message.parentBoot);
      writeEpoch(writer, message.parentEpoch);
      writer.int(message.versionMin);
      writer.int(message.versionMax);
    },
    read: (reader, seq) => ({
      kind: "init.probe",
      seq,
      treeId: readId(reader),
      parentBoot: readId(reader),
      parentEpoch: readEpoch(reader),
      versionMin: reader.uint(),
      versionMax: reader.uint(),
    }),
  },

  "init.open": {
    write(writer, message) {
      writer.text(message.treeId);
      writer.text(message.parentBoot);
      writeEpoch(writer, message.parentEpoch);
      writer.text(message.childBoot);
      writer.int(message.attempt);
      writer.text(message.session);
      writeEpoch(writer, message.epoch);
      writer.int(message.version);
      writer.text(message.broadcastSession);
      writer.int(message.broadcastSeq);
      writer.int(message.initBudgetMs);
      writer.int(message.nextInMs);
      writer.int(message.syncVersion);
      writer.bool(message.owned);
    },
    read: (reader, seq) => ({
      kind: "init.open",
      seq,
      treeId: readId(reader),
      parentBoot: readId(reader),
      parentEpoch: readEpoch(reader),
      childBoot: readId(reader),
      attempt: reader.uint(),
      session: readId(reader),
      epoch: readEpoch(reader),
      version: reader.uint(),
      broadcastSession: readId(reader),
      broadcastSeq: reader.uint(),
      initBudgetMs: reader.uint(),
      nextInMs: reader.uint(),
      syncVersion: reader.uint(),
      owned: reader.bool(),
    }),
  },

  "command.run": {
    write(writer, message) {
      writer.text(message.commandId);
      writer.text(message.target);
      writer.text(message.name);
      writer.bin(message.input);
      writer.int(message.deadlineMs);
      writer.bool(message.idempotent);
      writer.int(message.minSyncVersion);
      writeMeta(writer, message.meta);
    },
    read: (reader, seq) => ({
      kind: "command.run",
      seq,
      commandId: readId(reader),
      target: readTarget(reader),
      name: readId(reader),
      input: reader.bin(),
      deadlineMs: reader.uint(),
      idempotent: reader.bool(),
      minSyncVersion: reader.uint(),
      meta: readMeta(reader),
    }),
  },

  "command.cancel": {
    write: (writer, { commandId }) => writer.text(commandId),
    read: (reader, seq) => ({ kind: "command.cancel", seq, commandId: readId(reader) }),
  },

  "command.reply": {
    write(writer, message) {
      writer.text(message.requestId);
      writeFailure(writer, message);
      writer.bin(message.output);
    },
    read: (reader, seq) => ({
      kind: "command.reply",
      seq,
      requestId: readId(reader),
      status: reader.uint(),
      code: readId(reader),
      message: readText(reader),
      handlerCode: readText(reader),
      output: reader.bin(),
    }),
  },

  "sync.full": {
    write(writer, message) {
      writer.int(message.version);
      writer.bin(message.document);
    },
    read: (reader, seq) => ({ kind: "sync.full", seq, version: reader.uint(), document: reader.bin() }),
  },

  "heartbeat.beat": {
    write(writer, message) {
      writer.int(message.nextInMs);
      writer.int(message.localHealth);
    },
    read: (reader, seq) => ({ kind: "heartbeat.beat", seq, nextInMs: reader.uint(), localHealth: reader.uint() }),
  },

  "heartbeat.ack": { write() {}, read: (_, seq) => ({ kind: "heartbeat.ack", seq }) },

  "heartbeat.unsupported": {
    write(writer, message) {
      writer.int(message.type);
      writer.int(message.unknownKind);
    },
    read: (reader, seq) => ({ kind: "heartbeat.unsupported", seq, type: reader.uint(), unknownKind: reader.uint() }),
  },

  "heartbeat.acks": {
    write: (writer, { acks }) => writeAcks(writer, acks),
    read: (reader, seq) => ({ kind: "heartbeat.acks", seq, acks: readAcks(reader) }),
  },

  "shutdown.stop": {
    write(writer, message) {
      writer.int(message.remainingMs);
      writer.text(message.reason);
    },
    read: (reader, seq) => ({ kind: "shutdown.stop", seq, remainingMs: reader.uint(), reason: readText(reader) }),
  },

  "shutdown.leaving": {
    write: (writer, { reason }) => writer.text(reason),
    read: (reader, seq) => ({ kind: "shutdown.leaving", seq, reason: readText(reader) }),
  },

  "shutdown.fenced": {
    write(writer, message) {
      writer.text(message.boot);
      writeEpoch(writer, message.epoch);
    },
    read: (reader, seq) => ({ kind: "shutdown.fenced", seq, boot: readId(reader), epoch: readEpoch(reader) }),
  },

  "shutdown.duplicate": {
    write: (writer, { boot }) => writer.text(boot),
    read: (reader, seq) => ({ kind: "shutdown.duplicate", seq, boot: readId(reader) }),
  },
};

/** What the fields take at most, bytes. */
export function estimateCommand({ commandId, target, name, input, meta }: CommandRun): number {
  const texts = commandId.length + target.length + name.length;
  return texts * TEXT_BYTES_MAX + input.length + COMMAND_REST_BYTES + estimateMeta(meta);
}
