/** What an operator does with projects across clouds: asks partners for them, gives them back, and takes back those of partners. */
import { AllianceError, toAllianceError } from '../core/errors.ts';
import type { ErrorName } from '../core/errorTable.ts';
import type { CloudId } from '../core/ids.ts';
import { provisionLimits } from '../core/limits.ts';
import type { Keystone } from '../lproxy/keystone.ts';
import type { Partner } from '../model/partner.ts';
import { type Provision, type ProvisionContent, type ProvisionDirection, presentStates } from '../model/provision.ts';
import { deprovision, provision } from '../rproxy/provision.ts';
import { findMade, removeProject } from '../server/provisioning/projects.ts';
import { sameContent } from '../server/provisioning/request.ts';
import type { Installation } from './installation.ts';

/**
 * Asks a partner for a project. The request is stored before it is sent, so that with the same id it can be sent again when the answer
 * was lost, or could not be read or stored here. It is forgotten only where the answer proves that there is no project. `onOpen` hears
 * that nobody knows whether it was made.
 */
export async function askForProject(
  { store, pool }: Pick<Installation, 'store' | 'pool'>,
  partner: Partner,
  requestId: string,
  content: ProvisionContent,
  onOpen: () => void = () => undefined,
): Promise<Provision> {
  const { provisions } = store;
  const roles = content.roles ?? [];
  const request = { direction: 'out', requestId, asked: content, roles, domainId: null } as const;
  const isRepeat = (await provisions.find(partner.uid, 'out', requestId)) !== null;
  const stored = await provisions.reserve(
    partner,
    { ...request, expiresAt: content.expiresAt },
    provisionLimits.outgoing,
  );
  const wrong = (details: string) => new AllianceError('bad_request', { field: 'request_id', details });
  if (!sameContent(stored.asked, content)) throw wrong('This request id was used for another request.');
  if (stored.state === 'active') return stored;
  if (stored.state !== 'creating') throw wrong(hasEnded(stored));
  if (isRepeat) await provisions.touch(stored.id);
  try {
    const made = await provision(pool, partner, { requestId }, content);
    return (await provisions.activate(stored.id, made)) ?? { ...stored, ...made, state: 'active' };
  } catch (thrown) {
    if (isGone(thrown)) await provisions.ended(stored.id, 'gone');
    // Unless somebody has sent it again meanwhile.
    else if (!isRepeat && isRefusal(thrown)) await provisions.abandon(stored.id, 'refused', stored.updatedAt);
    else onOpen();
    throw thrown;
  }
}

const hasEnded = ({ state, requestId }: Provision): string =>
  state === 'expired'
    ? `The project of this request has expired by the clock here. If it is there yet, \`alliance provision remove ${requestId}\` gives it back.`
    : 'The project of this request has ended.';

/**
 * Answers to the request itself: this sending has made no project. Of the sendings before they say nothing; and whatever else is refused
 * (trust, clocks, Keystone's own refusals) is about other things than the request, and passes.
 */
const refusals: ReadonlySet<ErrorName> = new Set([
  'bad_request',
  'provision_off',
  'provision_limit',
  'provision_refused',
]);

const isRefusal = (thrown: unknown): boolean =>
  thrown instanceof AllianceError && thrown.remote && refusals.has(thrown.errorName);

/** The partner says that there is no such project, or none any more. */
const isGone = (thrown: unknown): boolean =>
  thrown instanceof AllianceError && thrown.remote && thrown.errorName === 'project_not_found';

/** Asks whether a project that a partner made for us is still there; one that is not has ended here, too. */
export async function confirmProject(
  { store, pool }: Pick<Installation, 'store' | 'pool'>,
  partner: Partner,
  { id, requestId, asked }: Provision,
): Promise<'there' | 'gone'> {
  try {
    await provision(pool, partner, { requestId, onlyKnown: true }, asked);
  } catch (thrown) {
    if (isGone(thrown)) {
      await store.provisions.ended(id, 'gone');
      return 'gone';
    }
    // Asking again at once would get the same, and others wait for their turn.
    if (!toAllianceError(thrown).retryable) await store.provisions.touch(id, 'active');
    throw thrown;
  }
  await store.provisions.touch(id, 'active');
  return 'there';
}

/** The cloud that is called so: a partner, or one that was removed and whose projects are still here. */
export async function cloudOfProjects({ store }: Pick<Installation, 'store'>, name: string): Promise<CloudId> {
  const former = await store.provisions.list({ cloudId: name as CloudId, direction: 'in', states: presentStates });
  return former[0]?.cloudId ?? (await store.partners.resolve(name)).cloudId;
}

/**
 * Of one cloud: by Keystone's id, else by name, else by the id of the request, which in one direction the partner has chosen. One that
 * has ended by our clock alone is found, too, after those that are there.
 * @throws AllianceError project_not_found; bad_request where several have the name
 */
export async function findProvision(
  { store }: Pick<Installation, 'store'>,
  cloudId: CloudId,
  direction: ProvisionDirection,
  project: string,
): Promise<Provision> {
  const found =
    named(await store.provisions.list({ direction, cloudId, states: presentStates }), project) ??
    named(await store.provisions.list({ direction, cloudId, states: ['expired'] }), project);
  if (!found) throw new AllianceError('project_not_found');
  return found;
}

function named(all: readonly Provision[], project: string): Provision | undefined {
  const byId = all.find(({ projectId }) => projectId === project);
  if (byId) return byId;
  const byName = all.filter(({ asked: { name } }) => name === project);
  if (byName.length > 1) {
    const details = `${byName.length} have this name: say which by the id of the project, or of its request.`;
    throw new AllianceError('bad_request', { field: 'project', details });
  }
  return byName[0] ?? all.find(({ requestId }) => requestId === project);
}

/**
 * Gives a partner's project back. `forgotten`: whether there is one could not be learned, and what the partner has made, if anything,
 * is for its operator to remove.
 */
export async function giveBackProject(
  installation: Pick<Installation, 'store' | 'pool' | 'clock'>,
  partner: Partner,
  given: Provision,
): Promise<'given back' | 'forgotten'> {
  const { store, pool } = installation;
  const project = given.projectId === null ? await learnProject(installation, partner, given) : given;
  if (project === 'forgotten') return project;
  if (project === 'none') return 'given back';
  await store.provisions.beginRemoval(project.id, 'operator');
  try {
    await deprovision(pool, partner, project.projectId ?? '');
  } catch (thrown) {
    // Gone by itself, at the end of its life.
    if (!isGone(thrown)) throw thrown;
  }
  await store.provisions.endRemoval(project.id);
  return 'given back';
}

/** Of a request whose answer never came nobody here knows whether there is a project. The partner does, and makes none to tell. */
async function learnProject(
  { store, pool, clock }: Pick<Installation, 'store' | 'pool' | 'clock'>,
  partner: Partner,
  given: Provision,
): Promise<Provision | 'none' | 'forgotten'> {
  const { id, requestId, asked, updatedAt } = given;
  try {
    const made = await provision(pool, partner, { requestId, onlyKnown: true }, asked);
    return (await store.provisions.activate(id, made)) ?? { ...given, ...made };
  } catch (thrown) {
    const { errorName, remote } = toAllianceError(thrown);
    if (isGone(thrown)) {
      const sentAgoMs = clock.now() - updatedAt;
      const details = 'Its request may be under way yet. Try again in a minute.';
      if (sentAgoMs >= 0 && sentAgoMs < provisionLimits.healMs)
        throw new AllianceError('project_not_found', { details });
      await store.provisions.ended(id, 'gone');
      return 'none';
    }
    if (errorName !== 'wire_malformed' || remote) throw thrown;
    await store.provisions.abandon(id, 'abandoned');
    return 'forgotten';
  }
}

/** Removes a project that was made here for a partner, or gives up one that was never finished. */
export async function takeBackProject(
  { store, clock }: Pick<Installation, 'store' | 'clock'>,
  keystone: Keystone,
  made: Provision,
): Promise<void> {
  if (made.state !== 'creating') return removeProject(store, keystone, made, 'operator');
  const { id, updatedAt } = made;
  const busy = new AllianceError('project_not_found', { details: 'It is being made. Try again in a minute.' });
  if (clock.now() - updatedAt < provisionLimits.healMs) throw busy;
  const found = await findMade(keystone, made);
  const known = found && (await store.provisions.activate(id, { projectId: found.id, domainId: found.domainId }));
  if (known) return removeProject(store, keystone, known, 'operator');
  if (!(await store.provisions.abandon(id, 'abandoned', updatedAt))) throw busy;
}
