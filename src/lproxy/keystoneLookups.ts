/** What is looked up in Keystone about people: the local halves of foreign users. */
import { idForm, isKeystoneError, parseMember, type RowSchema } from './keystoneBodies.ts';
import { type KeystoneCalls, unexpected } from './keystoneCalls.ts';
import {
  assignmentRow,
  domainRow,
  groupRow,
  inferenceRow,
  type KeystoneAssignment,
  projectRow,
  roleRow,
  userRow,
} from './keystoneRows.ts';
import type { Keystone, KeystoneOperation } from './keystoneTypes.ts';

type Lookups = Pick<
  Keystone,
  | 'listProjects'
  | 'findProject'
  | 'listDomains'
  | 'findDomain'
  | 'listUsers'
  | 'findUser'
  | 'listGroups'
  | 'listRoles'
  | 'roleInferences'
  | 'listAssignments'
>;

export function createLookups(calls: KeystoneCalls): Lookups {
  function find<T>(operation: KeystoneOperation, key: string, id: string, row: RowSchema<T>): Promise<T | null> {
    if (!idForm.test(id)) return Promise.resolve(null);
    return calls.run(operation, async (call) => {
      const answer = await call.sendAuthorised({ method: 'GET', path: `/${key}s/${id}` });
      if (answer.status === 404 && isKeystoneError(answer.text, 404)) return null;
      if (answer.status !== 200) throw unexpected(answer);
      const { enabled, item } = parseMember(answer.text, key, row);
      return enabled ? item : null;
    });
  }

  const owned = ({ name, domainId }: { name: string; domainId: string }) => ({ name, domain_id: domainId });

  async function listAssignments(actor: Parameters<Keystone['listAssignments']>[0]): Promise<KeystoneAssignment[]> {
    const effective = 'userId' in actor;
    const filter = effective ? { 'user.id': actor.userId, effective: '' } : { 'group.id': actor.groupId };
    const rows = await calls.list('assignments', { key: 'role_assignments', row: assignmentRow, filter });
    return rows
      .filter(({ inherited }) => effective || !inherited)
      .map(({ roleId, projectId }) => ({ roleId, projectId }));
  }

  return {
    listProjects: (of) => calls.list('projects', { key: 'projects', row: projectRow, filter: owned(of) }),
    findProject: (id) => find('projects', 'project', id, projectRow),
    listDomains: ({ name }) => calls.list('domains', { key: 'domains', row: domainRow, filter: { name } }),
    findDomain: (id) => find('domains', 'domain', id, domainRow),
    listUsers: (of) => calls.list('users', { key: 'users', row: userRow, filter: owned(of) }),
    findUser: (id) => find('users', 'user', id, userRow),
    listGroups: (of) => calls.list('groups', { key: 'groups', row: groupRow, filter: owned(of) }),
    listRoles: () => calls.list('roles', { key: 'roles', row: roleRow }),
    roleInferences: async () => new Map(await calls.list('roles', { key: 'role_inferences', row: inferenceRow })),
    listAssignments,
  };
}
