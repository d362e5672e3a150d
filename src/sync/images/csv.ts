/** Listings of regions as the original backs them up: CSV of Python's `excel` dialect, properties as `repr` writes a dictionary. */
import { AllianceError } from '../../core/errors.ts';
import type { Image } from './image.ts';
import { formatDictionary, parseDictionary } from './python.ts';

const lineEnd = '\r\n';

const cell = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

export const csvLine = (cells: readonly string[]): string => `${cells.map(cell).join(',')}${lineEnd}`;

/** Rows with the number of the line that they begin at; lines without anything are left out. */
function readRows(text: string): { readonly line: number; readonly cells: string[] }[] {
  const rows: { line: number; cells: string[] }[] = [];
  // Parts between quotes one by one: an alternative within the repetition would fill the stack with a long cell.
  const form = /("[^"]*(?:""[^"]*)*"|[^",\r\n]*)(,|\r\n|\r|\n|$)/y;
  let line = 1;
  let cells: string[] = [];
  let begin = line;
  while (form.lastIndex < text.length) {
    const found = form.exec(text);
    if (!found) throw problem(begin, 'a quote is not closed, or does not belong here.');
    const [whole, raw = '', end = ''] = found;
    cells.push(raw.startsWith('"') ? raw.slice(1, -1).replaceAll('""', '"') : raw);
    line += whole.match(/\r\n|\r|\n/g)?.length ?? 0;
    if (end === ',' && form.lastIndex < text.length) continue;
    if (end === ',') cells.push('');
    if (cells.length > 1 || cells[0] !== '') rows.push({ line: begin, cells });
    [cells, begin] = [[], line];
  }
  return rows;
}

const problem = (line: number, details: string): AllianceError =>
  new AllianceError('bad_request', { field: `line ${line}`, details: `Line ${line}: ${details}` });

/** @throws AllianceError bad_request naming the line */
export function readListing(text: string): Image[] {
  const ids = new Set<string>();
  return readRows(text).map(({ line, cells }) => {
    const image = readImage(line, cells);
    // Of two with one id, a sync would write back only one.
    if (ids.has(image.id)) throw problem(line, 'an image before it has the same id.');
    ids.add(image.id);
    return image;
  });
}

const columns = 9;

function readImage(line: number, cells: readonly string[]): Image {
  if (cells.length !== columns) throw problem(line, `there are ${cells.length} columns instead of ${columns}.`);
  const [, name = '', id = '', status = '', size = '', checksum = '', owner = '', isPublic = '', properties = ''] =
    cells;
  const sizeBytes = Number(size);
  if (!/^\d*$/.test(size) || !Number.isSafeInteger(sizeBytes)) throw problem(line, 'the size is no whole number.');
  try {
    return {
      id,
      name,
      owner,
      status,
      isPublic: isPublic.trim() === 'True',
      sizeBytes,
      checksum: checksum === '' ? null : checksum,
      properties: parseDictionary(properties),
    };
  } catch (error) {
    throw error instanceof AllianceError ? problem(line, `the properties: ${error.details}`) : error;
  }
}

export const formatListing = (region: string, listing: readonly Image[]): string =>
  listing
    .map(({ name, id, status, sizeBytes, checksum, owner, isPublic, properties }) =>
      csvLine([
        region,
        name,
        id,
        status,
        String(sizeBytes),
        checksum ?? '',
        owner,
        isPublic ? 'True' : 'False',
        formatDictionary(properties),
      ]),
    )
    .join('');
