/**
 * The log: one JSON object a line (pino), on stderr unless told otherwise, because stdout carries only results.
 *
 * Secrets are taken out by key name at any depth, so a careless `log.info({ request })` costs a line of log and no secret.
 */
import {
  type Bindings,
  type ChildLoggerOptions,
  type DestinationStream,
  type Logger,
  destination as openDestination,
  pino,
} from 'pino';
import { AllianceError } from './errors.ts';

export type { Logger } from 'pino';

export const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

export const redacted = '[redacted]';

/** How deep log objects are followed; what lies deeper is left out, which also ends cycles. */
const maxDepth = 6;

/** Key names without case, `-` and `_`. A name that ends in one of these, or in its plural, holds a secret. */
const secretEndings = [
  'password',
  'passphrase',
  'passwd',
  'pwd',
  // Also Nova's `adminPass`. Of a `bypass` a log says less than it could, and no more than that.
  'pass',
  'credential',
  'secret',
  'token',
  'authorization',
  'cookie',
  'privatekey',
  'secretkey',
  'apikey',
  'keypem',
  'mac',
  'proof',
];

/** Whether a property of this name holds a secret, however it is written: `X-Auth-Token`, `user_password`, `keyPem`. */
export function isSecretName(name: string): boolean {
  const plain = name.toLowerCase().replace(/[-_]/g, '');
  return secretEndings.some((ending) => plain.endsWith(ending) || plain.endsWith(`${ending}s`));
}

/** A copy of `value` for the log: secrets replaced, bytes as their length, Maps as objects, errors in our own form. */
export function withoutSecrets(value: unknown, depth = 0): unknown {
  if (typeof value !== 'object' || value === null) return typeof value === 'bigint' ? value.toString() : value;
  if (value instanceof Error) return describeError(value, depth);
  if (value instanceof Uint8Array) return `[${value.byteLength} bytes]`;
  if (value instanceof Date) return value.toISOString();
  if (depth >= maxDepth) return '[deeper]';
  if (Array.isArray(value)) return value.map((item) => withoutSecrets(item, depth + 1));
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  return Object.fromEntries(
    entries.map(([key, item]) => {
      const hidden = isSecretName(String(key)) && typeof item !== 'boolean' && item !== null && item !== undefined;
      return [String(key), hidden ? redacted : withoutSecrets(item, depth + 1)];
    }),
  );
}

/**
 * An error with the members that we know to be harmless. Foreign errors carry whatever their library hung on them (undici: the
 * request with its headers), therefore nothing else is copied. Our own names say enough without a stack; only what nobody foresaw has one.
 */
function describeError(error: Error, depth = 0): Record<string, unknown> {
  const ours = error instanceof AllianceError ? error : undefined;
  const code: unknown = ours?.code ?? Reflect.get(error, 'code');
  return {
    type: ours?.errorName ?? error.name,
    message: error.message,
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    ...(ours?.field === undefined ? {} : { field: ours.field }),
    ...(ours?.requestId === undefined ? {} : { requestId: ours.requestId }),
    ...(ours?.remote ? { remote: true } : {}),
    ...(ours === undefined || ours.errorName === 'internal' ? { stack: error.stack } : {}),
    ...(error.cause instanceof Error && depth < maxDepth ? { cause: describeError(error.cause, depth + 1) } : {}),
  };
}

const cleanRecord = (record: Record<string, unknown>) => withoutSecrets(record) as Record<string, unknown>;

export interface LoggerOptions {
  readonly level: LogLevel;
  /** Where lines go; stderr by default. Written synchronously, so that the last words of a dying process arrive. */
  readonly destination?: DestinationStream;
}

export function createLogger({ level, destination }: LoggerOptions): Logger {
  const logger = pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }), log: cleanRecord },
      serializers: { err: (value: unknown) => value },
    },
    destination ?? openDestination({ fd: 2, sync: true }),
  );
  // pino formats no bindings of children, and children inherit this method from their parent.
  const child = logger.child;
  return Object.assign(logger, {
    child(this: Logger, bindings: Bindings, options?: ChildLoggerOptions): Logger {
      return Reflect.apply(child, this, [cleanRecord(bindings), options]);
    },
  });
}

/** For libraries and tests: says nothing. */
export const silentLogger: Logger = pino({ level: 'silent' });
