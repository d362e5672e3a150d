/** Errors of the Image API: the texts are those of Glance 25, since clients and people read them. */

export class GlanceError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export const badRequest = (message: string) => new GlanceError(400, message);
export const forbidden = (message: string) => new GlanceError(403, message);
export const notFound = (id: string) => new GlanceError(404, `No image found with ID ${id}`);
export const conflict = (message: string) => new GlanceError(409, message);
export const gone = (message: string) => new GlanceError(410, message);
export const tooLarge = (message: string) => new GlanceError(413, message);

const titles = new Map([
  [400, 'Bad Request'],
  [401, 'Unauthorized'],
  [403, 'Forbidden'],
  [404, 'Not Found'],
  [405, 'Method Not Allowed'],
  [409, 'Conflict'],
  [410, 'Gone'],
  [413, 'Request Entity Too Large'],
  [415, 'Unsupported Media Type'],
  [416, 'Request Range Not Satisfiable'],
  [500, 'Internal Server Error'],
  [502, 'Bad Gateway'],
  [503, 'Service Unavailable'],
  [504, 'Gateway Timeout'],
]);

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

export interface ErrorAnswer {
  readonly type: string;
  readonly body: string;
}

/** As JSON, a page or plain text, whichever the client names; plain text where it names nothing. */
export function errorAnswer(status: number, message: string, accept = ''): ErrorAnswer {
  const name = titles.get(status) ?? 'Error';
  const title = `${status} ${name}`;
  const words = `${escaped(message)}<br /><br />\n\n\n`;
  if (/\bjson\b/.test(accept))
    return { type: 'application/json', body: JSON.stringify({ message: words, code: title, title: name }) };
  if (!/html|\*\/\*/.test(accept)) return { type: 'text/plain; charset=UTF-8', body: `${title}\n\n${message}\n\n   ` };
  const page = `<html>\n <head>\n  <title>${title}</title>\n </head>\n <body>\n  <h1>${title}</h1>\n  ${words}\n </body>\n</html>`;
  return { type: 'text/html; charset=UTF-8', body: page };
}
