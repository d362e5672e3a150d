/** Plans as tables, CSV and JSON. */
import { csvLine } from '../sync/images/csv.ts';
import { type Action, bytesOf, type RegionPlan } from '../sync/images/plan.ts';
import type { Cli } from './cli.ts';
import type { Format, Planned } from './imageWorld.ts';
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
      if (plan.failure === null) cli.world.stdout.write(`${form.rows(region.name, plan).map(csvLine).join('')}\n`);
  } else {
    const rows = planned.flatMap(({ region, plan }) => form.rows(region.name, plan));
    for (const line of rows.length > 0 ? formatTable(form.heading, rows) : []) cli.line(line);
  }
  for (const { region, plan } of planned) note(cli, region.name, plan);
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
  else if (format === 'csv') cli.world.stdout.write(rows.map(csvLine).join(''));
  else {
    for (const line of formatTable(['REGION', 'FILE', 'IMAGES'], rows)) cli.line(line);
    cli.note(`written to ${printable(directory)}`);
  }
}
