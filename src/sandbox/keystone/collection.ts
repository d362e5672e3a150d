/** The five operations that services, endpoints, regions, domains, projects, users and roles have in common. */
import type { Json } from './authentication.ts';
import { couldNotFind } from './errors.ts';
import { authorise, bodyOf, type Context, parameter, search, showList } from './routes.ts';
import { newId } from './state.ts';

export interface Collection<T extends { readonly id: string }> {
  readonly singular: string;
  readonly items: ReadonlyMap<string, T>;
  readonly show: (base: string, item: T) => object;
  /** Query parameters that a list can be narrowed by; any other is ignored. */
  readonly filters: Readonly<Record<string, (item: T) => string | undefined>>;
  /** Id of the user whom an item belongs to, where reading one's own is allowed. */
  readonly ownerOf?: (item: T) => string;
  readonly create: (body: Json, newId: () => string) => T;
  readonly change: (item: T, body: Json) => void;
  /** Members that only the answer to a change has. */
  readonly showChanged?: (item: T) => object;
  readonly remove: (item: T) => unknown;
}

export function addCollection<T extends { readonly id: string }>(context: Context, collection: Collection<T>): void {
  const { app, base } = context;
  const { singular, items, show, filters } = collection;
  const plural = `${singular}s`;
  const find = (id: string): T => {
    const item = items.get(id);
    if (!item) throw couldNotFind(singular, id);
    return item;
  };

  app.get(`/v3/${plural}`, (request) => {
    authorise(context, request, `list_${plural}`);
    const wanted = Object.entries(search(request)).filter(([name]) => name in filters);
    const found = [...items.values()].filter((item) =>
      wanted.every(([name, value]) => filters[name]?.(item) === value),
    );
    return showList(
      base(),
      request,
      plural,
      found.map((item) => show(base(), item)),
    );
  });

  app.post(`/v3/${plural}`, (request, reply) => {
    authorise(context, request, `create_${singular}`);
    const item = collection.create(bodyOf(request, singular), newId);
    reply.code(201);
    return { [singular]: show(base(), item) };
  });

  app.get(`/v3/${plural}/:id`, (request) => {
    const known = items.get(parameter(request, 'id'));
    authorise(context, request, `get_${singular}`, known && collection.ownerOf?.(known));
    return { [singular]: show(base(), find(parameter(request, 'id'))) };
  });

  app.patch(`/v3/${plural}/:id`, (request) => {
    authorise(context, request, `update_${singular}`);
    const item = find(parameter(request, 'id'));
    collection.change(item, bodyOf(request, singular));
    return { [singular]: { ...show(base(), item), ...collection.showChanged?.(item) } };
  });

  app.delete(`/v3/${plural}/:id`, (request, reply) => {
    authorise(context, request, `delete_${singular}`);
    collection.remove(find(parameter(request, 'id')));
    return reply.code(204).send();
  });
}
