/** Values of options: durations, times, numbers, addresses. What is wrong with one is an error of usage. */
import { InvalidArgumentError } from 'commander';
import { formatEndpoint, type HostPort, parseEndpoint, parseHostPort } from '../core/endpoint.ts';
import { AllianceError } from '../core/errors.ts';
import { timeLimits } from '../core/limits.ts';
import { type Role, roles } from '../model/trust.ts';

const unitMs = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);

const parts = /(\d+(?:\.\d+)?)(ms|s|m|h|d)/g;

/** `15m`, `1h30m`, `0.5s`, `7d`: milliseconds. */
export function parseDuration(text: string): number {
  const found = [...text.matchAll(parts)];
  if (found.length === 0 || found.map(([part]) => part).join('') !== text)
    throw new InvalidArgumentError('It must be a duration such as 30s, 15m, 12h or 7d.');
  return Math.round(found.reduce((sum, [, count, unit]) => sum + Number(count) * unitMs.get(unit!)!, 0));
}

/** A pause: a duration, or seconds as for ping(8). */
export const parsePause = (text: string): number => parseDuration(/^\d+(\.\d+)?$/.test(text) ? `${text}s` : text);

/** An end of trust, ms. */
export type Till = number | 'none';

/** As the model has it: null is without end. */
export const endOfTrust = (till: Till): number | null => (till === 'none' ? null : till);

const date = /^\d{4}-\d{2}-\d{2}$/;
const dateTime = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?$/;

/**
 * A point in time, UTC unless it says otherwise: `2027-01-31` (its beginning), `2027-01-31T12:00Z`, or a duration from now. `none`
 * stays as it is, since commander would take a null for an option without a value.
 */
export const parseTill = (text: string): Till =>
  text === 'none' ? text : parseTime(text, 1, 'It must be a date such as 2027-01-31, a duration such as 90d, or none.');

/** The same, looking back: a duration is how long ago. */
export const parseSince = (text: string): number =>
  parseTime(text, -1, 'It must be a date such as 2027-01-31, or a duration such as 24h, which is how long ago.');

export const isDuration = (text: string): boolean => /^\d+(\.\d+)?(ms|s|m|h|d)/.test(text);

function parseTime(text: string, direction: 1 | -1, wrong: string): number {
  if (!date.test(text) && !dateTime.test(text)) {
    if (isDuration(text)) return bounded(Date.now() + direction * parseDuration(text));
    throw new InvalidArgumentError(wrong);
  }
  const zoned = date.test(text) || /(Z|[+-]\d{2}:?\d{2})$/.test(text) ? text : `${text}Z`;
  const ms = Date.parse(zoned.replace(' ', 'T'));
  // Date.parse takes the 31st of February for the 3rd of March.
  const day = text.slice(0, 10);
  if (Number.isNaN(ms) || new Date(`${day}T00:00Z`).toISOString().slice(0, 10) !== day)
    throw new InvalidArgumentError('There is no such day or time.');
  return bounded(ms);
}

function bounded(ms: number): number {
  if (ms <= timeLimits.latestMs) return ms;
  throw new InvalidArgumentError('It must lie before the year 10000; none is without end.');
}

export function parseCount(text: string): number {
  const count = Number(text);
  if (!/^\d{1,6}$/.test(text) || count < 1) throw new InvalidArgumentError('It must be a whole number from 1.');
  return count;
}

export function parseRole(text: string): Role {
  const role = roles.find((known) => known === text);
  if (!role) throw new InvalidArgumentError(`It must be one of: ${roles.join(', ')}.`);
  return role;
}

/** Our parsers complain with AllianceErrors. */
function checked<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw error instanceof AllianceError ? new InvalidArgumentError(error.details ?? error.message) : error;
  }
}

/** One address to listen on. */
export const parseListen = (text: string): HostPort | 'off' =>
  text === 'off' ? text : checked(() => parseHostPort(text, 0));

/** For options that may be given several times. */
export const collect = (text: string, before: readonly string[] = []): string[] => [...before, text];

/** The same, for addresses to dial. */
export const collectEndpoints = (text: string, before: readonly string[] = []): string[] =>
  collect(
    checked(() => formatEndpoint(parseEndpoint(text))),
    before,
  );
