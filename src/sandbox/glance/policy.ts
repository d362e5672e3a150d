/** Who may do what: Glance's policy with `enforce_secure_rbac`. */
import { forbidden, notFound } from './errors.ts';
import type { GlanceImage } from './image.ts';

export interface Caller {
  readonly projectId: string;
  readonly roles: ReadonlySet<string>;
}

export const isAdmin = ({ roles }: Caller): boolean => roles.has('admin');

/** Whether `GET` of it by its id gives it. */
export const maySee = (caller: Caller, image: GlanceImage): boolean =>
  isAdmin(caller) ||
  image.owner === caller.projectId ||
  image.visibility === 'public' ||
  image.visibility === 'community' ||
  (image.visibility === 'shared' && image.members.has(caller.projectId));

/** Whether it is the caller's own to change. */
export const mayChange = (caller: Caller, image: GlanceImage): boolean =>
  isAdmin(caller) || (image.owner === caller.projectId && caller.roles.has('member'));

/** @throws GlanceError 404 where the caller may not know of it, 403 where it may not change it */
export function assertMayChange(caller: Caller, image: GlanceImage, action: string): void {
  if (!maySee(caller, image)) throw notFound(image.id);
  if (!mayChange(caller, image)) throw forbidden(`You are not authorized to complete ${action} action.`);
}

export function assertMayPublish(caller: Caller, visibility: string): void {
  if (visibility === 'public' && !isAdmin(caller))
    throw forbidden('You are not authorized to complete publicize_image action.');
}
