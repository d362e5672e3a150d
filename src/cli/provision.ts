/** `alliance provision project, list, remove` */
import { type Command, Option } from 'commander';
import { openKeystone } from '../broker/broker.ts';
import type { Installation } from '../broker/installation.ts';
import {
  askForProject,
  cloudOfProjects,
  findProvision,
  giveBackProject,
  takeBackProject,
} from '../broker/provisions.ts';
import { AllianceError } from '../core/errors.ts';
import { newRequestId } from '../core/ids.ts';
import { provisionLimits } from '../core/limits.ts';
import {
  announcedFrom,
  type Provision,
  type ProvisionContent,
  type ProvisionDirection,
  presentStates,
  provisionDirections,
  removalOf,
} from '../model/provision.ts';
import { type Cli, exits } from './cli.ts';
import { usageError } from './failure.ts';
import { addCommand, addGroup, finish } from './group.ts';
import { formatDistance, formatFacts, formatTable, formatTime, isoTime, printable, shellWord } from './text.ts';
import { collect, endOfTrust, isDuration, parseTill, type Till } from './values.ts';

interface ProjectOptions {
  readonly partner: string;
  readonly user?: string;
  readonly role?: readonly string[];
  readonly expires?: Life;
  readonly requestId?: string;
}

interface Life {
  readonly till: Till;
  /** Said as a duration. */
  readonly lasts: boolean;
}

interface ListOptions {
  readonly partner?: string;
  readonly direction?: ProvisionDirection;
}

export function addProvision(program: Command, cli: Cli): void {
  const group = addGroup(program, 'provision', 'projects at partners, and of partners here', 'provision list');
  const directions = () =>
    new Option('--direction <direction>', 'in: made here for a partner; out: made by a partner for this cloud').choices(
      provisionDirections,
    );

  addCommand(group, {
    usage: 'project <name>',
    summary: 'have a partner make a project for users of this cloud',
    more: `The partner decides how many, with which names, which roles and for how long. What it grants may last shorter than
what was asked for. With the same --request-id the same project comes again, so a request whose answer was lost can be repeated.
A repeat asks for what was asked for then: what else is said must agree, and a duration goes on to count from the first time.`,
    examples: ['provision project web-shop --partner west --user USER_ID --role member --expires 90d'],
  })
    .requiredOption('--partner <partner>', 'the cloud to make it')
    .option('--user <id>', 'id of the user of this cloud whom it is for (default: all that the partner admits)')
    .option(
      '--role <name>',
      'role of the user there, several times for several (default: what the partner gives)',
      collect,
    )
    .option('--expires <time>', 'when it is to be removed: a date, a duration, or none', parseLife)
    .option('--request-id <id>', 'of an earlier request, to repeat it')
    .action((name: string, options: ProjectOptions) => finish(cli, ask(cli, name, options)));

  addCommand(group, {
    usage: 'list',
    summary: 'list projects that were made here for partners, and by partners for this cloud',
    examples: ['provision list', 'provision list --partner west --direction out --json'],
  })
    .option('--partner <partner>', 'only of this one')
    .addOption(directions())
    .action((options: ListOptions) =>
      finish(
        cli,
        cli.open((installation) => list(cli, installation, options)),
      ),
    );

  addCommand(group, {
    usage: 'remove <project>',
    summary: 'give back a project that a partner made, or remove one that was made here for a partner',
    more: `PROJECT is an id of Keystone, the name, or the id of the request. With --direction in it is removed from this cloud's
Keystone; what services keep in it (servers, volumes, images) is not Keystone's to remove. About a request whose answer never came
(creating) the partner is asked what there is to give back. If its answer tells nothing, the request is forgotten here: exit code 3.`,
    examples: ['provision remove web-shop --partner west', 'provision remove web-shop --partner east --direction in'],
  })
    .requiredOption('--partner <partner>', 'the other cloud')
    .addOption(directions().default('out'))
    .action((project: string, options: ListOptions & { partner: string }) =>
      finish(cli, remove(cli, project, options.partner, options.direction ?? 'out')),
    );
}

export const viewProvision = (provision: Provision) => ({
  partner: provision.cloudId,
  direction: provision.direction,
  request_id: provision.requestId,
  state: provision.state,
  name: provision.asked.name,
  user_id: provision.asked.userId,
  roles: provision.roles,
  project_id: provision.projectId,
  domain_id: provision.domainId,
  expires_at: isoTime(provision.expiresAt),
  announced_at: isoTime(provision.noticedAt),
  last_error: provision.lastError,
  created_at: isoTime(provision.createdAt),
});

const parseLife = (text: string): Life => ({ till: parseTill(text), lasts: isDuration(text) });

/** To the second, as it is shown everywhere: so a repeat can say it, too. */
const endOf = ({ till, lasts }: Life): number | null =>
  endOfTrust(lasts ? Math.ceil(Number(till) / 1000) * 1000 : till);

/** The bounds that every partner has; the others are its own. */
function contentOf(name: string, { user, role, expires }: ProjectOptions): ProvisionContent {
  const { nameBytes, roles: mostRoles } = provisionLimits;
  if (Buffer.byteLength(name) > nameBytes) throw usageError(`The name may have ${nameBytes} bytes.`, 'name');
  if (role && role.length > mostRoles) throw usageError(`At most ${mostRoles} roles can be asked for.`, 'role');
  return {
    name,
    userId: user ?? null,
    roles: role ? [...new Set(role)].sort() : null,
    expiresAt: expires === undefined ? null : endOf(expires),
  };
}

/** What is not said in a repeat is as it was, and a duration counts from the first time on; whether the rest agrees is compared later. */
const repeatOf = (asked: ProvisionContent, content: ProvisionContent, { user, role, expires }: ProjectOptions) => ({
  name: content.name,
  userId: user === undefined ? asked.userId : content.userId,
  roles: role === undefined ? asked.roles : content.roles,
  expiresAt: expires === undefined || (expires.lasts && asked.expiresAt !== null) ? asked.expiresAt : content.expiresAt,
});

async function ask(cli: Cli, name: string, options: ProjectOptions): Promise<undefined> {
  const content = contentOf(name, options);
  const requestId = options.requestId ?? newRequestId();
  return cli.withPartner(options.partner, async (partner, installation) => {
    const earlier = await installation.store.provisions.find(partner.uid, 'out', requestId);
    const asked = earlier ? repeatOf(earlier.asked, content, options) : content;
    const made = await askForProject(installation, partner, requestId, asked, () =>
      cli.note(`It may have been made. To repeat this request: --request-id ${shellWord(requestId)}`),
    );
    const { projectId, domainId, roles, expiresAt } = made;
    cli.print(
      viewProvision(made),
      formatFacts([
        ['project', `${name} (${projectId}) at ${partner.cloudId}`],
        ['domain', domainId ?? '-'],
        ['user', made.asked.userId ?? `all that ${partner.cloudId} admits`],
        ['roles', roles.join(', ') || '-'],
        ['removed', expiresAt === null ? 'when it is given back' : formatTime(expiresAt)],
        ['request', requestId],
      ]),
    );
    return undefined;
  });
}

async function list(
  cli: Cli,
  { store, clock }: Installation,
  { partner: name, direction }: ListOptions,
): Promise<undefined> {
  const cloudId = name === undefined ? undefined : await cloudOfProjects({ store }, name);
  const found = await store.provisions.list({ direction, cloudId, states: presentStates });
  const now = clock.now();
  const rows = found.map(({ direction: way, asked, state, roles, projectId, expiresAt, lastError, ...rest }) => [
    rest.cloudId,
    way,
    asked.name,
    lastError === null ? state : `${state} (${lastError})`,
    asked.userId ?? 'all',
    roles.join(','),
    endText({ ...rest, direction: way, expiresAt }, now),
    projectId ?? '-',
    state === 'creating' ? rest.requestId : '-',
  ]);
  const heading = ['PARTNER', 'DIRECTION', 'NAME', 'STATE', 'USER', 'ROLES', 'REMOVED', 'PROJECT', 'REQUEST'];
  cli.print({ projects: found.map(viewProvision) }, formatTable(heading, rows));
  return undefined;
}

/** With the time that is left, from when on its end is announced. */
function endText(project: Parameters<typeof removalOf>[0], now: number): string {
  const removal = removalOf(project);
  if (removal === null) return '-';
  const isNear = (announcedFrom(project) ?? removal) <= now;
  return isNear ? `${formatTime(removal)} (${formatDistance(removal, now)})` : formatTime(removal);
}

/** One that was made here needs no partner: it may have been removed since. */
function remove(cli: Cli, project: string, name: string, direction: ProvisionDirection): Promise<number> {
  return cli.open(async (installation) => {
    const partner = direction === 'out' ? await installation.store.partners.resolve(name) : undefined;
    const cloudId = partner?.cloudId ?? (await cloudOfProjects(installation, name));
    const found = await findProvision(installation, cloudId, direction, project);
    let isForgotten = false;
    if (partner) isForgotten = (await giveBackProject(installation, partner, found)) === 'forgotten';
    else await withKeystone(installation, (keystone) => takeBackProject(installation, keystone, found));
    const [shownProject, cloud] = [printable(found.asked.name), printable(cloudId)];
    cli.print(
      {
        partner: cloudId,
        direction,
        name: found.asked.name,
        project_id: found.projectId,
        outcome: isForgotten ? 'forgotten' : 'removed',
      },
      isForgotten
        ? `request for project ${shownProject} of ${cloud} forgotten: its answer tells no project, so ask its operator to look for one`
        : `project ${shownProject} of ${cloud} removed`,
    );
    return isForgotten ? exits.partly : exits.done;
  });
}

async function withKeystone<T>(
  installation: Installation,
  work: (keystone: NonNullable<ReturnType<typeof openKeystone>>) => Promise<T>,
): Promise<T> {
  const keystone = openKeystone(installation);
  if (!keystone)
    throw new AllianceError('configuration', { field: 'keystone.auth_url', details: 'No Keystone is configured.' });
  try {
    return await work(keystone);
  } finally {
    await keystone.close();
  }
}
