import { expect } from 'chai';
import fc from 'fast-check';
import { AllianceError } from '../../../src/core/errors.ts';
import { mappingLimits } from '../../../src/core/limits.ts';
import { parseMapping, readMapping } from '../../../src/token/mapping/mapping.ts';
import { refusal } from '../../support/errors.ts';

const remote = [{ type: 'openstack_user' }];
const named = (changes: object = {}) => [{ remote, local: [{ user: { name: '{0}' } }], ...changes }];

describe('token/mapping/mapping', () => {
  it('takes the forms that Keystone and its client write', () => {
    const rules = named();
    const api = { mapping: { id: 'east', links: { self: 'http://k' }, schema_version: '1.0', rules } };
    for (const form of [rules, { rules }, { rules, schema_version: '2.0' }, api])
      expect(parseMapping(form).rules, JSON.stringify(form)).to.have.length(1);
    expect(parseMapping([]).rules).to.deep.equal([]);
    expect(readMapping(JSON.stringify(rules)).rules).to.have.length(1);
  });

  const project = (more: object) => ({ name: 'web', roles: [{ name: 'member' }], ...more });
  const wrong: readonly (readonly [what: string, json: unknown, field: string, says: RegExp])[] = [
    ['no rules', {}, 'rules', /array/],
    ['a rule without remote', [{ local: [] }], 'rules[0].remote', /array/],
    ['an empty remote', [{ remote: [], local: [] }], 'rules[0].remote', /needs a remote item/],
    ['neither local nor deny', [{ remote }], 'rules[0]', /either local, or deny/],
    ['local and deny', named({ deny: true }), 'rules[0]', /either local, or deny/],
    ['a privileged denial', [{ remote, deny: true, allow_privileged: true }], 'rules[0]', /either local, or deny/],
    ['an unknown member', named({ rolez: [] }), 'rules[0]', /rolez/],
    [
      'two tests',
      [{ remote: [{ type: 'a', any_one_of: [], whitelist: [] }], local: [] }],
      'rules[0].remote[0]',
      /at most one/,
    ],
    [
      'a regex of nothing',
      [{ remote: [{ type: 'a', regex: true }], local: [] }],
      'rules[0].remote[0]',
      /regex goes with/,
    ],
    [
      'a template out of range',
      named({ local: [{ user: { name: '{1}' } }] }),
      'rules[0].local[0].user.name',
      /captures nothing/,
    ],
    ['an empty brace', named({ local: [{ user: { name: '{}' } }] }), 'rules[0].local[0].user.name', /only \{0\}/],
    [
      'an attribute of a value',
      named({ local: [{ user: { name: '{0.x}' } }] }),
      'rules[0].local[0].user.name',
      /only \{0\}/,
    ],
    ['groups without a domain', named({ local: [{ groups: '{0}' }] }), 'rules[0].local[0]', /needs a domain/],
    ['an empty domain', named({ local: [{ domain: {} }] }), 'rules[0].local[0].domain', /id or a name/],
    ['a group by half', named({ local: [{ group: { name: 'g' } }] }), 'rules[0].local[0].group', /id, or a name/],
    [
      'a user of another type',
      named({ local: [{ user: { name: 'x', type: 'god' } }] }),
      'rules[0].local[0].user.type',
      /./,
    ],
    [
      'a domain in schema 1.0',
      named({ local: [{ projects: [project({ domain: { name: 'D' } })] }] }),
      'rules[0].local[0].projects[0]',
      /schema_version 2.0/,
    ],
    ['schema 3.0', { rules: [], schema_version: '3.0' }, 'schema_version', /./],
    [
      'a look-ahead',
      [{ remote: [{ type: 'a', any_one_of: ['(?=x)'], regex: true }], local: [] }],
      'rules[0].remote[0].any_one_of[0]',
      /RE2 cannot/,
    ],
  ];
  for (const [what, json, field, says] of wrong)
    it(`refuses ${what}, and says where`, () => {
      const error = refusal(() => parseMapping(json), 'mapping_invalid');
      expect(error.field).to.equal(field);
      expect(error.message).to.match(says);
    });

  it('takes domains of projects by schema 2.0', () => {
    const rules = named({ local: [{ projects: [project({ domain: { name: 'D' } })] }] });
    expect(parseMapping({ rules, schema_version: '2.0' }).rules[0]!.local[0]!.projects![0]).to.have.property('domain');
  });

  it('refuses what is too large, and what is no JSON', () => {
    const many = JSON.stringify(Array.from({ length: mappingLimits.rules + 1 }, () => named()[0]));
    for (const text of ['x'.repeat(mappingLimits.bytes + 1), many, '{', ''])
      refusal(() => readMapping(text), 'mapping_invalid');
  });

  it('throws nothing but its own error, whatever it is given', () => {
    const key = fc.constantFrom(
      'rules',
      'mapping',
      'remote',
      'local',
      'type',
      'user',
      'name',
      'any_one_of',
      'regex',
      'deny',
    );
    const json = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 7 },
        fc.jsonValue(),
        tie('object'),
        tie('array'),
        fc.constantFrom(...remote, '{0}', true, undefined),
      ),
      object: fc.dictionary(key, tie('value')),
      array: fc.array(tie('value'), { maxLength: 3 }),
    })).value;
    fc.assert(
      fc.property(fc.oneof(json, fc.array(fc.record({ remote: json, local: json })), fc.anything()), (given) => {
        try {
          parseMapping(given);
        } catch (thrown) {
          expect(thrown).to.be.instanceOf(AllianceError).and.to.have.property('errorName', 'mapping_invalid');
        }
      }),
      { numRuns: 500 },
    );
  });
});
