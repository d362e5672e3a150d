/**
 * Making and removing the projects themselves. Every step can be repeated, by the partner's next try or by the broker's own task: a
 * project carries a tag of the request that it was made for, so one whose maker died before it could say so is found again, and
 * one of the same name that is not ours is told apart.
 */
import { AllianceError, toAllianceError } from '../../core/errors.ts';
import { lengthPrefixed, sha256 } from '../../crypto/bytes.ts';
import type { Keystone, TaggedProject } from '../../lproxy/keystone.ts';
import { type Provision, type ProvisionActor, requestTagPrefix } from '../../model/provision.ts';
import type { Store } from '../../model/store.ts';

type Stored = Pick<Store, 'provisions'>;

/** The tag by which we know our own. Nobody outside can say it beforehand: the uid of a partner is random and told to nobody. */
export const originTag = ({ partnerUid, requestId }: Pick<Provision, 'partnerUid' | 'requestId'>): string => {
  const origin = sha256('alliance/1 provision', lengthPrefixed(partnerUid), lengthPrefixed(requestId));
  return `${requestTagPrefix}${origin.toString('hex').slice(0, 32)}`;
};

/** The project of a request, if there is one. */
export async function findMade(keystone: Keystone, provision: Provision): Promise<TaggedProject | undefined> {
  const { asked, domainId } = provision;
  const found = await keystone.projectsNamed({ name: asked.name, domainId: domainId ?? '' });
  return found.find(({ tags }) => tags.includes(originTag(provision)));
}

/** Keeps why an attempt failed where `provision list` shows it. */
async function noting<T>({ provisions }: Stored, { id }: Provision, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    await provisions.fail(id, toAllianceError(thrown).errorName);
    throw thrown;
  }
}

/** Makes the project of a stored request, or finds that it is made. @throws AllianceError provision_refused where its name is taken */
export async function makeProject(store: Stored, keystone: Keystone, provision: Provision): Promise<Provision> {
  const { provisions } = store;
  const { id, cloudId, requestId, asked, domainId } = provision;
  if (!(await provisions.touch(id))) return currentOf(store, provision);
  const project = await noting(store, provision, async () => {
    const description = `Made by alliance for ${cloudId}, request ${requestId}`;
    const tags = ['alliance', `alliance-partner:${cloudId}`, originTag(provision)];
    const place = { name: asked.name, domainId: domainId ?? '' };
    return (await keystone.createProject({ ...place, description, tags })) ?? (await findMade(keystone, provision));
  });
  if (!project) {
    await provisions.abandon(id, 'refused');
    throw new AllianceError('provision_refused', { field: 'name', details: 'The name is taken.' });
  }
  const { id: projectId } = project;
  return (await provisions.activate(id, { projectId, domainId: project.domainId })) ?? currentOf(store, provision);
}

/** Another process was faster, in one direction or the other. */
async function currentOf({ provisions }: Stored, { partnerUid, direction, requestId }: Provision): Promise<Provision> {
  const current = await provisions.find(partnerUid, direction, requestId);
  if (!current || current.state === 'creating')
    throw new AllianceError('overloaded', { details: 'The request was given up meanwhile.', retryAfterMs: 1000 });
  return current;
}

/** Removes a project that was made; one that is gone already is removed, too. */
export async function removeProject(
  store: Stored,
  keystone: Keystone,
  provision: Provision,
  actor: ProvisionActor,
): Promise<void> {
  const { provisions } = store;
  const { id, projectId, state } = provision;
  if (projectId === null || state === 'removed') return;
  if (state !== 'removing') await provisions.beginRemoval(id, actor);
  await noting(store, provision, () => keystone.deleteProject(projectId));
  await provisions.endRemoval(id);
}
