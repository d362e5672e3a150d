/** Projects of this cloud's Keystone, as those who make them need them. */
import { z } from 'zod';
import { idForm, isKeystoneError, parseMember } from './keystoneBodies.ts';
import { type KeystoneCalls, unexpected } from './keystoneCalls.ts';

export interface NewProject {
  readonly name: string;
  readonly domainId: string;
  readonly description: string;
  /** At most 255 characters each, without `/` and `,`. */
  readonly tags: readonly string[];
}

export interface TaggedProject {
  readonly id: string;
  readonly name: string;
  readonly domainId: string;
  readonly tags: readonly string[];
}

/** Errors as those of Keystone's other methods; keystone_refused also where the broker's own user may not change projects. */
export interface KeystoneProjects {
  /** Null when the domain has a project of that name already, which may be this very one: an answer can get lost. */
  createProject(project: NewProject): Promise<TaggedProject | null>;
  /** All projects of that name in the domain, also those that are switched off. */
  projectsNamed(of: { readonly name: string; readonly domainId: string }): Promise<TaggedProject[]>;
  /** Nobody gets a token for it any more. False when there is no such project. */
  switchOffProject(id: string): Promise<boolean>;
  /** False when there was no such project. */
  deleteProject(id: string): Promise<boolean>;
}

const row = z
  .object({
    id: z.string().min(1),
    name: z.string(),
    domain_id: z.string().nullish(),
    tags: z.array(z.string()).nullish(),
  })
  .transform(({ id, name, domain_id: domainId, tags }) => ({
    enabled: true,
    item: { id, name, domainId: domainId ?? '', tags: tags ?? [] },
  }));

export function createProjects(calls: KeystoneCalls): KeystoneProjects {
  async function change(id: string, request: { method: 'PATCH' | 'DELETE'; body?: string }): Promise<boolean> {
    if (!idForm.test(id)) return false;
    return calls.run('projects', async (call) => {
      const answer = await call.sendAuthorised({ ...request, path: `/projects/${id}` });
      if (answer.status === 404 && isKeystoneError(answer.text, 404)) return false;
      if (answer.status !== 200 && answer.status !== 204) throw unexpected(answer);
      return true;
    });
  }

  return {
    createProject: ({ name, domainId, description, tags }) =>
      calls.run('projects', async (call) => {
        const body = JSON.stringify({ project: { name, domain_id: domainId, description, tags } });
        const answer = await call.sendAuthorised({ method: 'POST', path: '/projects', body });
        if (answer.status === 409 && isKeystoneError(answer.text, 409)) return null;
        if (answer.status !== 201) throw unexpected(answer);
        return parseMember(answer.text, 'project', row).item;
      }),
    projectsNamed: ({ name, domainId }) =>
      calls.list('projects', { key: 'projects', row, filter: { name, domain_id: domainId } }),
    switchOffProject: (id) => change(id, { method: 'PATCH', body: JSON.stringify({ project: { enabled: false } }) }),
    deleteProject: (id) => change(id, { method: 'DELETE' }),
  };
}
