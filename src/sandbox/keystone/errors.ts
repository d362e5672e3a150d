/** Keystone's own errors: the texts are those of Keystone 22, since clients and people read them. */

export class ApiError extends Error {
  readonly status: number;
  readonly title: string;
  /** Further members of the error object. */
  readonly extra: Readonly<Record<string, unknown>>;

  constructor(status: number, title: string, message: string, extra: Readonly<Record<string, unknown>> = {}) {
    super(message);
    this.status = status;
    this.title = title;
    this.extra = extra;
  }
}

export const unauthorized = (
  message = 'The request you have made requires authentication.',
  extra: Readonly<Record<string, unknown>> = {},
) => new ApiError(401, 'Unauthorized', message, extra);

export const forbidden = (action: string) =>
  new ApiError(403, 'Forbidden', `You are not authorized to perform the requested action: ${action}.`);

export const notFound = (message: string) => new ApiError(404, 'Not Found', message);

/** `what` as Keystone names it: "user", "Application Credential". */
export const couldNotFind = (what: string, id: string) => notFound(`Could not find ${what}: ${id}.`);

export const conflict = (message: string) => new ApiError(409, 'Conflict', message);

export const badRequest = (message: string) => new ApiError(400, 'Bad Request', message);

export const expecting = (attribute: string, target: string) =>
  badRequest(
    `Expecting to find ${attribute} in ${target}. The server could not comply with the request since it is either ` +
      'malformed or otherwise incorrect. The client is assumed to be in error.',
  );
