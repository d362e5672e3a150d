/** `--log-dir`: what a sync tells, a file for each region. */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../core/errno.ts';
import { AllianceError } from '../core/errors.ts';
import { makeDirectory } from '../core/wholeFile.ts';
import { linesOf } from '../sync/images/eventLines.ts';
import type { SyncEvent } from '../sync/images/syncTypes.ts';
import { formatTime, printable } from './text.ts';

const escaped = (character: string): string =>
  [...Buffer.from(character)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');

/** The name of a region may be anything, and leads to no other directory. */
export const logFile = (region: string): string => `${region.replace(/[^A-Za-z0-9_:.@+-]|^\./gu, escaped)}.txt`;

export interface RegionLogs {
  take(event: SyncEvent): void;
}

/**
 * @param now UTC epoch milliseconds
 * @throws AllianceError file_not_written, at the beginning; what cannot be written later is told to `failed` once
 */
export function openRegionLogs(
  directory: string,
  regions: readonly string[],
  { now, failed }: { readonly now: () => number; readonly failed: (error: AllianceError) => void },
): RegionLogs {
  let broken = false;
  const refused = (cause: unknown): AllianceError =>
    new AllianceError('file_not_written', {
      field: '--log-dir',
      cause,
      details: `--log-dir: ${directory} (${errnoOf(cause)}).`,
    });
  const append = (region: string, text: string): void => appendFileSync(join(directory, logFile(region)), text);
  try {
    makeDirectory(directory);
    for (const region of regions) append(region, '');
  } catch (cause) {
    throw refused(cause);
  }
  return {
    take(event) {
      const at = now();
      for (const { level, region, image, text } of broken ? [] : linesOf(event, at)) {
        const line = `${formatTime(at)} ${level.toUpperCase()} ${printable(image === null ? text : `${image}: ${text}`)}\n`;
        try {
          for (const each of region === null ? regions : [region]) append(each, line);
        } catch (cause) {
          broken = true;
          failed(refused(cause));
          return;
        }
      }
    },
  };
}
