/** Plans as tables, CSV and JSON. */
import { errorTable } from '../core/errorTable.ts';
import { csvLine } from '../sync/images/csv.ts';
import type { Orphan } from '../sync/images/orphans.ts';
import { type Action, bytesOf, type RegionPlan } from '../sync/images/plan.ts';
import type { SyncReport } from '../sync/images/syncTypes.ts';
import type { Cli } from './cli.ts';
import { type Only, remainingOf } from './imageEvents.ts';
import type { Format } from './imageOptions.ts';
import type { Planned } from './imageWorld.ts';
import { formatTable, jsonText, printable } from './text.ts';

interface Form<T> {
  readonly heading: readonly string[];
  /** Lines of a region, below each other in tables and CSV. */
  rows(region: string, plan: RegionPlan): string[][];
  json(plan: RegionPlan): T;
}

interface Report {
  readonly master: string;
  readonly format: Format;
  readonly planned: readonly Planned[];
  /** More of the whole, with --json. */
  readonly more?: object;
}

const noticesOf = ({ notices, failure }: RegionPlan): object => ({ failure, notices });

/** The result on stdout; what an operator should know of regions beside it on stderr. */
export function report<T extends object>(cli: Cli, form: Form<T>, { master, format, planned, more }: Report): void {
  if (format === 'json') {
    const regions = planned.map(({ region, plan }) => ({
      region: region.name,
      ...noticesOf(plan),
      ...form.json(plan),
    }));
    cli.line(jsonText({ master, ...more, regions }, 2));
    return;
  }
  if (format === 'csv') {
    // As the original ends the lines of a region; one that failed has none.
    for (const { region, plan } of planned)
      if (plan.failure === null) writeCsv(cli, form.rows(region.name, plan), '\n');
  } else {
    const rows = planned.flatMap(({ region, plan }) => form.rows(region.name, plan));
    for (const line of rows.length > 0 ? formatTable(form.heading, rows) : []) cli.line(line);
  }
  for (const { region, plan } of planned) note(cli, region.name, plan);
}

/** As it is for programs; a terminal does not get what it would obey. */
function writeCsv({ world: { stdout } }: Cli, rows: readonly (readonly string[])[], end = ''): void {
  const cells = stdout.isTTY ? rows.map((row) => row.map(printable)) : rows;
  stdout.write(`${cells.map(csvLine).join('')}${end}`);
}

function note(cli: Cli, region: string, { failure, notices }: RegionPlan): void {
  if (failure !== null) cli.note(printable(`${region}: nothing can be planned. ${failure}`));
  for (const { name, details } of notices) cli.note(printable(`${region}: ${name}: ${details}`));
}

export const statusForm: Form<object> = {
  heading: ['STATUS', 'REGION', 'IMAGE'],
  rows: (region, { entries }) => entries.map(({ status, name }) => [status, region, name]),
  json: ({ entries }) => ({
    images: entries.map(({ status, name, id, sizeBytes, reason }) => ({
      status,
      name,
      id,
      size_bytes: sizeBytes,
      reason,
    })),
  }),
};

export const planForm: Form<object> = {
  heading: ['ACTION', 'REGION', 'IMAGE', 'BYTES', 'OLD', 'REASON'],
  rows: (region, { actions }) =>
    actions.map((action) => {
      const { image, newName, sizeBytes } = facts(action);
      const old = image === null ? '-' : newName === null ? image : `${image} -> ${newName}`;
      return [action.kind, region, action.name, String(sizeBytes), old, action.reason];
    }),
  json: ({ actions }) => ({ bytes: bytesOf(actions), actions: actions.map(viewAction) }),
};

export const diffForm: Form<object> = {
  heading: ['REGION', 'IMAGE', 'FIELD', 'MASTER', 'HERE'],
  rows: (region, { entries }) =>
    entries.flatMap(({ name, differences }) =>
      differences.map(({ field, master, region: here }) => [region, name, field, text(master), text(here)]),
    ),
  json: ({ entries }) => ({
    images: entries
      .filter(({ differences }) => differences.length > 0)
      .map(({ name, status, differences }) => ({ name, status, differences })),
  }),
};

/** Null is told from a text that is empty. */
const text = (value: unknown): string => (value === null ? '-' : String(value));

interface Facts {
  /** Id of the region's image that is changed, replaced or put aside. */
  readonly image: string | null;
  /** What that one is called afterwards, if it changes. */
  readonly newName: string | null;
  readonly sizeBytes: number;
}

const facts = (action: Action): Facts =>
  'newName' in action
    ? { image: action.id, newName: action.kind === 'obsolete' ? action.newName : null, sizeBytes: 0 }
    : { image: action.old?.id ?? null, newName: action.old?.newName ?? null, sizeBytes: action.sizeBytes };

function viewAction(action: Action): object {
  const { image, newName, sizeBytes } = facts(action);
  return {
    action: action.kind,
    name: action.name,
    image,
    new_name: newName,
    size_bytes: sizeBytes,
    is_public: action.isPublic,
    properties: Object.fromEntries(
      [...action.properties].map(([key, value]) => [
        key,
        typeof value === 'object' && value !== null ? { id_of: value.idOf } : value,
      ]),
    ),
    reason: action.reason,
  };
}

interface WrittenFile {
  readonly region: string;
  readonly file: string;
  /** How many. */
  readonly images: number;
}

export function reportFiles(cli: Cli, directory: string, files: readonly WrittenFile[], format: Format): void {
  const rows = files.map(({ region, file, images }) => [region, file, String(images)]);
  if (format === 'json') cli.line(jsonText({ directory, files }, 2));
  else if (format === 'csv') writeCsv(cli, rows);
  else {
    for (const line of formatTable(['REGION', 'FILE', 'IMAGES'], rows)) cli.line(line);
    cli.note(`written to ${printable(directory)}`);
  }
}

export interface ShownRegion {
  readonly name: string;
  readonly kind: 'keystone' | 'partner' | 'scenario';
  /** How many. */
  readonly endpoints: number;
}

export function writeRegions(cli: Cli, master: string | null, regions: readonly ShownRegion[], format: Format): void {
  if (format === 'json') cli.line(jsonText({ master, regions }, 2));
  // One line, as the original writes it.
  else if (format === 'csv') cli.line(printable(regions.map(({ name }) => name).join(' ')));
  else {
    const rows = regions.map(({ name, kind, endpoints }) => [
      name,
      kind,
      String(endpoints),
      name === master ? 'yes' : '',
    ]);
    for (const line of formatTable(['REGION', 'KIND', 'ENDPOINTS', 'MASTER'], rows)) cli.line(line);
  }
}

export interface RegionOrphans {
  readonly region: string;
  /** Why it could not be looked at; null where it could. */
  readonly failure: string | null;
  readonly orphans: readonly Orphan[];
}

export function writeOrphans(cli: Cli, master: string, found: readonly RegionOrphans[], format: Format): void {
  if (format === 'json') {
    const regions = found.map(({ region, failure, orphans }) => ({
      region,
      failure,
      images: orphans.map(({ image: { id, name, status, sizeBytes }, unfinished }) => {
        return { id, name, status, size_bytes: sizeBytes, unfinished };
      }),
    }));
    cli.line(jsonText({ master, regions }, 2));
    return;
  }
  const rows = found.flatMap(({ region, orphans }) =>
    orphans.map(({ image: { id, name, status, sizeBytes }, unfinished }) => {
      return [region, name, id, unfinished ? 'unfinished' : status, String(sizeBytes)];
    }),
  );
  if (format === 'csv') writeCsv(cli, rows);
  else if (rows.length > 0)
    for (const line of formatTable(['REGION', 'IMAGE', 'ID', 'STATUS', 'BYTES'], rows)) cli.line(line);
  for (const { region, failure } of found)
    if (failure !== null) cli.note(printable(`${region}: cannot be looked at. ${failure}`));
}

/** What a sync did, and what stays as it was. */
export function writeTasks(cli: Cli, done: SyncReport, only: Only, format: Format): void {
  const rows = done.regions.flatMap((report) => [
    ...report.tasks.map(({ kind, name, totalBytes, state, failure }) => {
      return [state, kind, report.region, name, String(totalBytes), failure?.reason ?? ''];
    }),
    ...remainingOf(report, only).map(({ status, name, reason }) => [status, '-', report.region, name, '0', reason]),
  ]);
  if (format === 'csv') writeCsv(cli, rows);
  else if (rows.length > 0)
    for (const line of formatTable(['RESULT', 'ACTION', 'REGION', 'IMAGE', 'BYTES', 'REASON'], rows)) cli.line(line);
  for (const { region, failure } of done.regions) if (failure) cli.note(printable(`${region}: ${failure.reason}`));
  if (done.failure) cli.note(printable(done.failure.reason));
  const failures = [done.failure, ...done.regions.map(({ failure }) => failure)];
  if (failures.some((failure) => failure?.name === 'sync_stopped')) cli.note(errorTable.get('sync_stopped')!.remedy);
}
