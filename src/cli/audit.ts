/** `alliance audit list, verify, export` */
import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import { type AuditRange, type AuditReport, ownSeals, verifyAudit } from '../broker/audit.ts';
import { type Answers, askPartners } from '../broker/auditExchange.ts';
import { checkpointAhead, signAudit } from '../broker/auditTask.ts';
import type { Installation } from '../broker/installation.ts';
import { AllianceError } from '../core/errors.ts';
import { type CloudId, parseCloudId } from '../core/ids.ts';
import { auditLimits } from '../core/limits.ts';
import { type AuditKind, type AuditQuery, type AuditRecord, auditKinds } from '../model/audit.ts';
import { exportedRecord, exportedSeal, verifyFile } from './auditFile.ts';
import { type AuditView, describeRecords, describeReport, exitOf, viewRecord, viewReport } from './auditView.ts';
import { type Cli, exits } from './cli.ts';
import { ReaderGone, usageError } from './failure.ts';
import { addCommand, addGroup, finish } from './group.ts';
import { jsonText } from './text.ts';
import { parseCount, parseSince } from './values.ts';

interface Filter {
  readonly since?: number | undefined;
  readonly until?: number | undefined;
  readonly partner?: string | undefined;
  readonly kind?: AuditKind;
}

interface VerifyOptions extends Pick<Filter, 'since' | 'partner'> {
  readonly file?: string;
  readonly part?: boolean;
  readonly ask?: boolean;
}

const defaultRecords = 50;

const addFilter = (command: Command): Command =>
  command
    .option('--since <time>', 'from then on: a date, or how long ago, such as 24h', parseSince)
    .option('--until <time>', 'before then: a date, or how long ago', parseSince)
    .option('--partner <partner>', 'only what is about this partner')
    .addOption(new Option('--kind <kind>', 'only records of this kind').choices(auditKinds));

export function addAudit(program: Command, cli: Cli): void {
  const group = addGroup(
    program,
    'audit',
    'what happened, in a chain whose heads are signed and held by partners',
    'audit list',
  );
  addFilter(
    addCommand(group, {
      usage: 'list',
      summary: 'list the latest records, newest last',
      examples: ['audit list', 'audit list --since 24h --partner west --kind handshake'],
    }),
  )
    .option('--limit <n>', `at most so many, up to ${auditLimits.pageRows} (default: ${defaultRecords})`, parseCount)
    .action((options: Filter & { limit?: number }) => finish(cli, list(cli, options)));

  addCommand(group, {
    usage: 'verify',
    summary: 'look whether every record is there, in its place and as it was written',
    more: `Compares the records with each other, with what this broker signed, and with what partners hold. Names the first record
that is not right. Exit code 1 if there is one or a partner holds one that is not there, 3 if a partner's own audit is not right, a
partner knows of records that a restore has lost, one that was to be asked was not reached, or a part of an export has records that
this broker does not have.`,
    examples: ['audit verify', 'audit verify --ask --partner west', 'audit verify --file audit.jsonl'],
  })
    .option(
      '--since <time>',
      'only what came after the last checkpoint before then: a date, or how long ago',
      parseSince,
    )
    .option('--partner <partner>', 'hear only this one of the partners')
    .option('--ask', 'exchange checkpoints with the partners first')
    .option('--file <path>', 'an exported file instead of the database')
    .option('--part', 'the file holds only some of the records: they are held against those of this broker')
    .action((options: VerifyOptions) => finish(cli, verify(cli, options)));

  addFilter(
    addCommand(group, {
      usage: 'export',
      summary: 'write records with their hashes to stdout, one JSON object a line',
      more: `Without options it is the whole audit, from its signed beginning to a signed end; exit code 1, and no signed end, where it is not
whole. docs/audit.md has the form.`,
      examples: ['audit export > audit.jsonl', 'audit export --since 2027-01-01 --until 2027-02-01 > january.jsonl'],
    }),
  ).action((options: Filter) =>
    finish(
      cli,
      cli.open((installation) => exportAll(cli, installation, options)),
    ),
  );
}

/** A partner by any name that it has; one that was removed by its cloud_id. */
async function queryOf({ store }: Installation, { partner, ...filter }: Filter): Promise<AuditQuery> {
  if (partner === undefined) return filter;
  const known = (await store.partners.list()).find(({ name }) => name === partner);
  return { ...filter, partner: known?.cloudId ?? (parseCloudId(partner, 'partner') as CloudId) };
}

async function list(cli: Cli, options: Filter & { limit?: number }): Promise<undefined> {
  const { limit = defaultRecords, ...filter } = options;
  if (limit > auditLimits.pageRows) throw usageError(`--limit is at most ${auditLimits.pageRows}.`, 'limit');
  const records = await cli.open(async (installation) => {
    const query = await queryOf(installation, filter);
    return installation.store.audit.list({ ...query, limit, newest: true });
  });
  cli.print({ records: records.map(viewRecord) }, describeRecords(records));
  return undefined;
}

async function verify(cli: Cli, options: VerifyOptions): Promise<number> {
  const { file, part = false, ask = false, since, partner } = options;
  if (part && file === undefined) throw usageError('--part is about an exported file: give it with --file.', 'part');
  if (ask && file !== undefined) throw usageError('Partners are asked about the database, not about a file.', 'ask');
  if (file !== undefined && (since !== undefined || partner !== undefined))
    throw usageError('--since and --partner are about the database, not about a file.', 'file');
  return cli.open(async (installation) => {
    const range = await queryOf(installation, { since, partner });
    const { report, answers } =
      file === undefined ? await verifyHere(installation, ask, range) : await verifyExport(installation, file, part);
    const view: AuditView = viewReport(report, answers);
    cli.print(view, describeReport(view));
    return exitOf(report, answers);
  });
}

const none: Answers = new Map();

/** Before partners are asked, for what they held until then may be gone afterwards, and again with what they say now. */
async function verifyHere(
  installation: Installation,
  ask: boolean,
  range: AuditRange,
): Promise<{ report: AuditReport; answers: Answers }> {
  const before = await verifyAudit(installation, range);
  if (!ask) return { report: before, answers: none };
  const answers = await askPartners(installation, range.partner);
  const report = await verifyAudit(installation, range);
  return { report: { ...report, broken: before.broken ?? report.broken }, answers };
}

async function verifyExport(installation: Installation, file: string, part: boolean) {
  const { audit } = installation.store;
  const isGenuine = await ownSeals(installation);
  const found = await verifyFile(file, { part, isGenuine, hashOf: (seq) => audit.hashOf(seq) });
  return { report: { ...found, partners: [], lost: false, from: null }, answers: none };
}

/** Also of an audit that is not whole, for whoever wants to know what was done to it; but then no signature says that it is. */
async function exportAll(cli: Cli, installation: Installation, filter: Filter): Promise<number> {
  const { audit } = installation.store;
  const query = await queryOf(installation, filter);
  const whole = Object.values(query).every((value) => value === undefined);
  const { broken } = whole ? await audit.verify({ isGenuine: await ownSeals(installation) }) : { broken: null };
  // Signed first: what is appended while the records are written comes after the end.
  const isWhole = whole && !broken && (await signAudit(installation));
  // Where the clock is behind, what came since the last checkpoint has none.
  const ahead = isWhole ? await checkpointAhead(installation) : null;
  const isUntimely = ahead !== null && ahead.seq < (await audit.head()).seq;
  const isSigned = isWhole && !isUntimely;
  const end = isSigned ? await audit.seal('checkpoint') : null;
  const cut = whole ? await audit.seal('cut') : null;
  if (cut) await writeLine(cli, exportedSeal(cut));
  let page = await audit.list(query);
  while (page.length > 0) {
    for (const record of page)
      if (!end || record.seq <= end.seq) {
        const restore = whole && isRestore(record) ? await audit.sealOf('restore', record.seq) : null;
        if (restore) await writeLine(cli, exportedSeal(restore));
        await writeLine(cli, exportedRecord(record));
      }
    page = await audit.list({ ...query, after: page.at(-1)!.seq });
  }
  if (end) await writeLine(cli, exportedSeal(end));
  // That nobody took the last line is known a turn later.
  await setImmediate();
  assertRead(cli);
  if (isSigned || !whole) return exits.done;
  const details = isUntimely ? 'The clock is behind the last checkpoint, so none was signed.' : broken?.details;
  throw new AllianceError('audit_broken', details === undefined ? {} : { details });
}

const isRestore = ({ kind, outcome }: AuditRecord): boolean => kind === 'configuration' && outcome === 'restored';

/** Waits for a slow reader, so that only one page is ever in memory. */
async function writeLine(cli: Cli, value: object): Promise<void> {
  const { stdout } = cli.world;
  assertRead(cli);
  if (stdout.write(`${jsonText(value)}\n`)) return;
  await once(stdout, 'drain').catch((thrown: unknown) => {
    assertRead(cli);
    throw thrown;
  });
}

function assertRead({ world }: Cli): void {
  if (world.isReaderGone?.()) throw new ReaderGone();
}
