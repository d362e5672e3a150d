/** Conditions: Python's words over a white list. */
import { expect } from 'chai';
import { AllianceError } from '../../../src/core/errors.ts';
import { compileCondition } from '../../../src/sync/images/condition.ts';
import type { PropertyValue } from '../../../src/sync/images/image.ts';
import { imageWith } from '../../support/images.ts';

const image = imageWith('centos', {
  sizeBytes: 500,
  properties: new Map<string, PropertyValue>([
    ['type', 'ge'],
    ['nid', 2],
    ['empty', ''],
    ['none', null],
  ]),
});
const holds = (text: string): boolean =>
  compileCondition(text).holds({ image, region: 'M', metadataSet: new Set(['nid', 'zone']) });

function detailsOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof AllianceError) return error.details ?? '';
    throw error;
  }
  return 'no error';
}

describe('sync/images/condition', () => {
  const cases: readonly (readonly [text: string, expected: boolean])[] = [
    // Those that configurations and tests of the original have.
    ['False', false],
    ['image.is_public', true],
    ['not image.is_public', false],
    ["image.is_public and ('nid' in image.user_properties or 'type' in image.user_properties)", true],
    ["image.is_public and 'type' in image.user_properties and image.user_properties['type'] == 'baseimage'", false],
    ["image.is_public and image.user_properties.get('type', None) == 'ge'", true],
    ['image.is_public and (not metadata_set or metadata_set.intersection(image.user_properties))', true],
    ['image.is_public and metadata_set.intersection(image.user_properties.keys())', true],
    ["'p2' in image.user_properties and image.user_properties['p2']=='v2bis' or image.size <= 100000", true],
    [
      "image.user_properties.get('nid',False) and not set(image.user_properties.keys()).intersection(set(['domain','zone'])) and image.size < 10000",
      true,
    ],
    ['image.is_public and "att3" in metadata_set', false],
    ["'image.is_public'", true],
    // What binds what: the parser takes all that follows a `not` for its operand.
    ['not False or True', true],
    ['not True or True', true],
    ['not (True or True)', false],
    ['not True and False', false],
    ['not False and False', false],
    ['True or not True and False', true],
    ['False and not True or True', true],
    ['not not True and False', false],
    ['True or True and False', true],
    ['not image.size == 500', false],
    ['not image.size == 1 and image.size == 2 or True', true],
    ['(True or True) and False', false],
    // Comparisons.
    ['100 < image.size < 600', true],
    ['100 < image.size < 400', false],
    ['600 < image.size < 400', false],
    ['image.size != 500', false],
    ['image.size >= 500 and image.size > -1', true],
    ["image.name < 'd'", true],
    ["'ent' in image.name", true],
    ["'x' not in image.name", true],
    ["image.name in ['a', 'centos']", true],
    ['True == 1', true],
    ["image.user_properties['nid'] == '2'", false],
    ['[1, 2] == [1, 2]', true],
    ['set([1, 2]) == set([2, 1])', true],
    ['set([1]) == set([2])', false],
    // What is empty is false.
    ["''", false],
    ['0', false],
    ['None', false],
    ['[]', false],
    ['set()', false],
    ["image.user_properties['empty']", false],
    ["image.user_properties.get('missing')", false],
    ["image.user_properties.get('none', 1)", false],
    ["image.user_properties.get('missing', 1)", true],
    ["image.id == 'id-centos' and image.owner == 'tid' and image.region == 'M'", true],
    ["u'\\x61' == 'a' and '\\u0061' == \"a\" and 'it\\'s' == \"it's\"", true],
    ['image.is_public # why', true],
  ];
  for (const [text, expected] of cases) it(`${text} is ${expected}`, () => expect(holds(text)).to.equal(expected));

  const refused: readonly (readonly [text: string, column: number])[] = [
    ['', 1],
    ['image.is_public and', 20],
    ['image.is_public image.size', 17],
    ['True; True', 1],
    ['True\nTrue', 6],
    ['x = 1', 1],
    ['import os', 1],
    ['True and __import__("os")', 10],
    ['image.constructor', 7],
    ['image.__class__', 7],
    ['image.user_properties.constructor', 23],
    ['image.user_properties.values()', 23],
    ['metadata_set.add(1)', 14],
    ['name', 1],
    ['lambda: 1', 1],
    ['1 if True else 2', 1],
    ['[x for x in metadata_set]', 1],
    ['image.size + 1', 1],
    ['-image.size', 1],
    ['image.size is None', 1],
    ['True == not False', 9],
    ["f'{image}'", 1],
    ["b'x' == 'x'", 1],
    ["'a' 'b'", 1],
    ["'''a'''", 1],
    ['1.5', 1],
    ['99999999999999999999', 1],
    ['{1: 2}', 1],
    ['set(1, 2)', 1],
    ['set(*metadata_set)', 1],
    ["image.user_properties.get(key='x')", 1],
    ['image.user_properties.get()', 23],
    ["image.user_properties['a':'b']", 1],
    ["image['name']", 1],
  ];
  for (const [text, column] of refused)
    it(`refuses ${JSON.stringify(text)}`, () =>
      expect(detailsOf(() => compileCondition(text))).to.match(new RegExp(`^Column ${column}: `)));

  const failing: readonly string[] = [
    "image.user_properties['missing']",
    "image.user_properties['__proto__']",
    "image.name['a']",
    "image.size < 'a'",
    "'a' < None",
    "1 in 'abc'",
    'image.is_public in image.size',
    'set(1)',
    'set([[1]])',
    "image.name.get('a')",
    "image.name.intersection('a')",
    'metadata_set.intersection(1)',
  ];
  for (const text of failing)
    it(`${text} fails when an image is looked at`, () =>
      expect(detailsOf(() => holds(text))).to.match(/^Column \d+: /));

  it('looks only at what is needed', () => {
    expect(holds("'missing' in image.user_properties and image.user_properties['missing'] == 1")).to.equal(false);
    expect(holds("image.is_public or image.user_properties['missing']")).to.equal(true);
  });

  it('has bounds', () => {
    expect(detailsOf(() => compileCondition(`${'('.repeat(500)}1${')'.repeat(500)}`))).to.match(/too deeply/);
    expect(detailsOf(() => compileCondition(`${'not '.repeat(500)}1`))).to.match(/too deeply/);
    expect(detailsOf(() => compileCondition(`'${'a'.repeat(70_000)}'`))).to.match(/too long/);
  });
});
