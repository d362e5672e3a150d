/** When something is due: cron expressions of five fields, in the time of a zone. */
import { Cron } from 'croner';
import { AllianceError } from './errors.ts';

/** UTC, or a name of the IANA database such as `Europe/Madrid`. */
export type TimeZone = string;

function compile(expression: string, timezone: TimeZone): Cron {
  const unfit = (cause: unknown): AllianceError => {
    const why = cause instanceof Error ? cause.message.replace(/^CronPattern: /, '') : '';
    return new AllianceError('bad_request', { cause, details: `"${expression}" is no cron expression: ${why}` });
  };
  // The package also takes single points in time, and seconds.
  if (!/^(@[a-z]+|\S+( +\S+){4})$/.test(expression)) throw unfit(new Error('it has five fields, or is like @daily.'));
  try {
    return new Cron(expression, { timezone, mode: '5-part', paused: true });
  } catch (cause) {
    throw unfit(cause);
  }
}

/** @throws AllianceError bad_request: not a zone that this system knows */
export function parseTimeZone(text: string): TimeZone {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: text }).resolvedOptions().timeZone && text;
  } catch (cause) {
    throw new AllianceError('bad_request', { cause, details: `"${text}" is no time zone of the IANA database.` });
  }
}

/** @throws AllianceError bad_request: not five fields, or a time that never comes */
export function parseCron(expression: string): string {
  if (compile(expression, 'UTC').nextRun(new Date(0)) === null)
    throw new AllianceError('bad_request', { details: `"${expression}" is a time that never comes.` });
  return expression;
}

/**
 * The first time after `after`. What falls into the hour that a clock leaps over comes right after it, and what falls into the one
 * that comes twice comes once.
 *
 * @param after UTC epoch milliseconds, as is the result; null where there is none any more
 */
export const nextTime = (expression: string, zone: TimeZone, after: number): number | null =>
  compile(expression, zone).nextRun(new Date(after))?.getTime() ?? null;
