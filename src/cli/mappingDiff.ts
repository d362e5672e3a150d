/** `alliance mapping diff`: what other rules would have made of the partner's users of late. */
import type { Command } from 'commander';
import type { Installation } from '../broker/installation.ts';
import { auditLimits } from '../core/limits.ts';
import type { Partner } from '../model/partner.ts';
import { mappingOptions } from '../token/localise.ts';
import { applyMapping } from '../token/mapping/apply.ts';
import { type ForeignIdentity, recordedIdentity } from '../token/mapping/identity.ts';
import { type Mapping, readMapping } from '../token/mapping/mapping.ts';
import { compareOutcomes, type NamedOutcome, namedOutcome } from '../token/mapping/names.ts';
import { type Cli, shown } from './cli.ts';
import { addCommand, finish } from './group.ts';
import { readInput } from './input.ts';
import { formatDuration, formatTable, isoTime } from './text.ts';
import { parseDuration } from './values.ts';

interface DiffOptions {
  readonly partner: string;
  readonly since: number;
}

interface Seen {
  readonly identity: ForeignIdentity;
  validations: number;
  lastSeen: number;
}

export function addMappingDiff(group: Command, cli: Cli): void {
  addCommand(group, {
    usage: 'diff <file>',
    summary: 'try other rules on the users that were lately seen, and tell who would gain or lose what',
    more: `Takes the validations of the partner's tokens from the audit, and compares what the rules in force make of each user with what
those of the file (or of standard input, -) would. Names only: neither Keystone nor the partner is asked.`,
    examples: [
      'mapping diff new-rules.json --partner east',
      'mapping diff new-rules.json --partner east --since 7d --json',
    ],
  })
    .requiredOption('--partner <partner>', 'whose users the mapping is for')
    .option('--since <duration>', 'how far to look back', parseDuration, 24 * 3600_000)
    .action((file: string, options: DiffOptions) =>
      finish(
        cli,
        cli.withPartner(options.partner, (partner, installation) =>
          run(cli, installation, partner, { file, ...options }),
        ),
      ),
    );
}

async function run(
  cli: Cli,
  installation: Installation,
  partner: Partner,
  { file, since }: DiffOptions & { readonly file: string },
): Promise<undefined> {
  const { store, config, clock } = installation;
  const next = readMapping(await readInput(cli, file, 'a mapping'));
  const stored = await store.mappings.get(partner.uid);
  const present = stored && readMapping(stored.rules);
  const apply = (mapping: Mapping | null, identity: ForeignIdentity): NamedOutcome =>
    mapping
      ? namedOutcome(applyMapping(mapping, identity, mappingOptions(config)))
      : { kind: 'denied', reason: 'no_mapping', details: 'There is no mapping.' };

  const { users, cut } = await lately(installation, partner, clock.now() - since);
  const changes = users.flatMap(({ identity, validations, lastSeen }) => {
    const [before, after] = [apply(present, identity), apply(next, identity)];
    const difference = compareOutcomes(before, after);
    if (!difference) return [];
    const { change, gainedRoles, lostRoles } = difference;
    const { user, project } = identity.subject;
    return [
      {
        user,
        project,
        change,
        gained_roles: gainedRoles,
        lost_roles: lostRoles,
        before: view(before),
        after: view(after),
        validations,
        last_seen: isoTime(lastSeen),
      },
    ];
  });
  const unchanged = users.length - changes.length;
  const rows = changes.map((each) => [
    each.user.name,
    each.project?.name ?? '-',
    each.change,
    [...each.gained_roles.map((role) => `+${role}`), ...each.lost_roles.map((role) => `-${role}`)].join(' ') || '-',
    each.before.summary,
    each.after.summary,
  ]);
  cli.print({ partner: partner.cloudId, users: users.length, unchanged, not_compared: cut, changes }, [
    `${users.length} users of ${shown(partner)} were seen in ${formatDuration(since)}; for ${unchanged} nothing changes`,
    ...(cut > 0 ? [`${cut} more have too many roles or groups for the audit, and were not compared`] : []),
    ...(rows.length > 0 ? formatTable(['USER', 'PROJECT', 'CHANGE', 'ROLES', 'BEFORE', 'AFTER'], rows) : []),
  ]);
}

function view(outcome: NamedOutcome) {
  if (outcome.kind === 'denied')
    return { outcome: 'denied', reason: outcome.reason, user: null, project: null, roles: [], summary: outcome.reason };
  const { user, project, roles, groups } = outcome;
  const place = project?.name ?? (groups.length > 0 ? `groups ${groups.join(', ')}` : 'own projects');
  return {
    outcome: 'accepted',
    reason: null,
    user,
    project: project?.name ?? null,
    roles,
    summary: `${user} in ${place}`,
  };
}

/** Every user of the partner that was validated since then, once for each project, set of roles and groups; and how many could not be recorded whole. */
async function lately({ store }: Installation, { cloudId }: Partner, since: number) {
  const users = new Map<string, Seen>();
  const cut = new Set<string>();
  let after = 0;
  for (;;) {
    const page = await store.audit.list({ kind: 'validation', partner: cloudId, since, after });
    for (const { details, at } of page) {
      const identity = recordedIdentity(details, cloudId);
      if (!identity) continue;
      const { user, project } = identity.subject;
      if (details.cut !== undefined) {
        cut.add(JSON.stringify([user.id, project?.id]));
        continue;
      }
      const key = JSON.stringify(identity.subject);
      const seen = users.get(key) ?? { identity, validations: 0, lastSeen: at };
      // One record may tell of many answers.
      seen.validations += typeof details.times === 'number' ? details.times : 1;
      seen.lastSeen = at;
      users.set(key, seen);
    }
    if (page.length < auditLimits.pageRows) return { users: [...users.values()], cut: cut.size };
    after = page.at(-1)!.seq;
  }
}
