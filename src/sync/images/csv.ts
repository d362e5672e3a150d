/** Listings of regions as the original backs them up: CSV of Python's `excel` dialect, properties as `repr` writes a dictionary. */
import { AllianceError } from '../../core/errors.ts';
import type { Image } from './image.ts';
import { formatDictionary, parseDictionary } from './python.ts';

const lineEnd = '\r\n';

const cell = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

export const csvLine = (cells: readonly string[]): string => `${cells.map(cell).join(',')}${lineEnd}`;

interface Row {
  /** The one that it begins at, from 1. */
  readonly line: number;
  readonly cells: string[];
}

/** Lines without anything are left out. */
function readRows(text: string): Row[] {
  const rows: Row[] = [];
  let [line, at] = [1, 0];
  while (at < text.length) {
    const row: Row = { line, cells: [] };
    for (;;) {
      const cell = readCell(text, at, row.line);
      row.cells.push(cell.value);
      line += cell.lineEnds;
      at = cell.end;
      if (text[at] !== ',') break;
      at += 1;
    }
    if (at < text.length) {
      at += text.startsWith(lineEnd, at) ? 2 : 1;
      line += 1;
    }
    if (row.cells.length > 1 || row.cells[0] !== '') rows.push(row);
  }
  return rows;
}

/** By hand: a regular expression keeps something of each quote, and cells are as long as whoever wrote them likes. */
function readCell(text: string, from: number, line: number) {
  if (text[from] !== '"') {
    const end = indexOfEnd(text, from);
    if (text[end] === '"') throw problem(line, 'a quote does not belong here.');
    return { value: text.slice(from, end), end, lineEnds: 0 };
  }
  let close = text.indexOf('"', from + 1);
  while (close >= 0 && text[close + 1] === '"') close = text.indexOf('"', close + 2);
  if (close < 0) throw problem(line, 'a quote is not closed.');
  const end = close + 1;
  if (end < text.length && indexOfEnd(text, end) !== end) throw problem(line, 'a quote does not belong here.');
  const value = text.slice(from + 1, close).replaceAll('""', '"');
  return { value, end, lineEnds: countOfLineEnds(value) };
}

const special = /[",\r\n]/g;

function indexOfEnd(text: string, from: number): number {
  special.lastIndex = from;
  return special.exec(text)?.index ?? text.length;
}

function countOfLineEnds(text: string): number {
  let count = 0;
  for (const _ of text.matchAll(/\r\n|\r|\n/g)) count += 1;
  return count;
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
