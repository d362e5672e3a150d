/** `alliance identity show, rotate` */
import type { Command } from 'commander';
import { announceIdentity, rotateIdentity } from '../broker/identity.ts';
import type { Installation } from '../broker/installation.ts';
import { invitationLabel, openInvitations } from '../broker/invitations.ts';
import { toAllianceError } from '../core/errors.ts';
import { identityLimits } from '../core/limits.ts';
import { formatFingerprint } from '../crypto/certificate.ts';
import type { IdentityRecord } from '../model/identityRecord.ts';
import type { InvitationFacts } from '../model/invitation.ts';
import type { Partner } from '../model/partner.ts';
import { type Cli, exits, shown } from './cli.ts';
import { describeFailure, type ErrorView, usageError, viewError } from './failure.ts';
import { addCommand, addGroup, finish } from './group.ts';
import { readTextFile } from './input.ts';
import { startProgress } from './progress.ts';
import { formatDistance, formatDuration, formatFacts, formatTime, isoTime, printable } from './text.ts';
import { parseDuration } from './values.ts';

interface RotateOptions {
  readonly compromised?: boolean;
  readonly key?: string;
  readonly certificate?: string;
  readonly overlap?: number;
}

export function addIdentity(program: Command, cli: Cli): void {
  const group = addGroup(program, 'identity', 'our own key and certificate', 'identity show');
  addCommand(group, {
    usage: 'show',
    summary: 'show our identity, and former ones',
    examples: ['identity show'],
  }).action(() =>
    finish(
      cli,
      cli.open((installation) => show(cli, installation), { anyIdentity: true }),
    ),
  );

  addCommand(group, {
    usage: 'rotate',
    summary: 'change to a new key and certificate, and tell the partners',
    more: `The former key counts until a partner has seen the new one, at most as long as --overlap says. A running broker goes
on telling partners that could not be reached; exit code 3 if there are any. After a compromise there is no overlap:
all sessions end, and partners have to pair again.`,
    examples: [
      'identity rotate',
      'identity rotate --key new.pem --certificate new.crt',
      'identity rotate --compromised',
    ],
  })
    .option(
      '--overlap <duration>',
      `default ${formatDuration(identityLimits.defaultOverlapMs)}, at most 30d`,
      parseDuration,
    )
    .option('--key <file>', 'our own key, PEM: RSA of at least 3072 bits, P-256 or Ed25519')
    .option('--certificate <file>', 'the certificate of that key, PEM')
    .option('--compromised', 'the present key is in other hands')
    .action((options: RotateOptions) => finish(cli, rotate(cli, options)));
}

const viewRecord = (record: IdentityRecord) => ({
  sequence: record.sequence,
  state: record.state,
  fingerprint: formatFingerprint(record.fingerprint),
  algorithm: record.algorithm,
  not_before: isoTime(record.notBefore),
  not_after: isoTime(record.notAfter),
  overlap_till: isoTime(record.overlapTill),
});

async function show(cli: Cli, { store, config, clock, endpoints }: Installation): Promise<undefined> {
  const records = await store.identities.list();
  const now = clock.now();
  const lines = records.flatMap((record) => [
    '',
    ...formatFacts([
      ['identity', `${record.sequence}, ${record.state}`],
      ['fingerprint', formatFingerprint(record.fingerprint)],
      ['algorithm', record.algorithm],
      ['valid till', `${formatTime(record.notAfter)} (${formatDistance(record.notAfter, now)})`],
      ...(record.overlapTill === null ? [] : [['overlap till', formatTime(record.overlapTill)] as const]),
    ]),
  ]);
  cli.print({ cloud_id: config.cloudId, advertise: endpoints, identities: records.map(viewRecord) }, [
    ...formatFacts([
      ['cloud_id', config.cloudId],
      ['advertise', endpoints],
    ]),
    ...lines,
  ]);
  return undefined;
}

interface OwnFiles {
  readonly keyPem: string;
  readonly certificatePem: string;
}

async function readOwn({ key, certificate }: RotateOptions): Promise<OwnFiles | undefined> {
  if (key === undefined && certificate === undefined) return undefined;
  if (key === undefined || certificate === undefined) throw usageError('--key and --certificate belong together.');
  return { keyPem: await readTextFile(key, '--key'), certificatePem: await readTextFile(certificate, '--certificate') };
}

/** Of an invitation that names a former key: who accepts it finds another one, and cannot tell that from an attack. */
function describeDead({ program }: Cli, invitation: InvitationFacts): string {
  const [label, name] = [invitationLabel(invitation), invitation.name ?? invitation.forCloudId];
  const which = name === null ? label : `${label} (${printable(name)})`;
  return `invitation ${which}: names the former key, and cannot be accepted any more. Run \`${program} partner remove ${label}\`, and invite again.`;
}

interface Told {
  readonly cloud_id: string;
  readonly told: boolean;
  readonly error?: ErrorView;
}

async function rotate(cli: Cli, options: RotateOptions): Promise<number> {
  const { compromised = false, overlap: overlapMs } = options;
  if (compromised && overlapMs !== undefined) throw usageError('After a compromise there is no overlap.', 'overlap');
  const own = await readOwn(options);
  return cli.open(
    async (installation) => {
      const former = (await installation.store.identities.current())!.fingerprint;
      const open = await openInvitations(installation);
      const record = await rotateIdentity(installation, { own, overlapMs, compromised });
      const active = [...installation.view.partners].filter(
        (partner) => installation.view.stateOf(partner) === 'active',
      );
      const told = compromised ? [] : await tellAll(cli, installation, active);
      const overlap = installation.view.identities.find(({ overlapTill }) => overlapTill !== null)?.overlapTill ?? null;
      const value = {
        ...viewRecord(record),
        former_fingerprint: formatFingerprint(former),
        overlap_till: isoTime(overlap),
        compromised,
        partners: told,
        pair_again: compromised ? active.map(({ cloudId }) => cloudId) : [],
        invitations: open.map((one) => ({ id: invitationLabel(one), name: one.name, for: one.forCloudId })),
      };
      cli.print(value, [
        ...formatFacts([
          ['former', formatFingerprint(former)],
          ['fingerprint', formatFingerprint(record.fingerprint)],
          ['overlap', overlap === null ? 'none' : `till ${formatTime(overlap)}`],
        ]),
        ...told.map(({ cloud_id: id, told, error }) =>
          told ? `${id}: told` : `${id}: not told yet. ${printable(String(error?.message))}`,
        ),
        ...(compromised ? active.map((partner) => `${shown(partner)}: has to remove us and pair again`) : []),
        ...open.map((one) => describeDead(cli, one)),
      ]);
      return told.every((one) => one.told) ? exits.done : exits.partly;
    },
    { anyIdentity: true },
  );
}

async function tellAll(cli: Cli, installation: Installation, partners: readonly Partner[]): Promise<Told[]> {
  const progress = startProgress(
    cli,
    `Telling ${partners.length} ${partners.length === 1 ? 'partner' : 'partners'} ...`,
  );
  const told = await Promise.all(
    partners.map(async (partner): Promise<Told> => {
      try {
        await announceIdentity(installation, await installation.store.partners.get(partner.uid));
        return { cloud_id: partner.cloudId, told: true };
      } catch (thrown) {
        progress.say(`${partner.cloudId}: ${describeFailure(thrown)}`);
        return { cloud_id: partner.cloudId, told: false, error: viewError(toAllianceError(thrown)) };
      }
    }),
  );
  progress.stop();
  return told;
}
