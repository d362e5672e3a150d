/** Records of the audit and what verification found, for people and as data. */
import type { AuditReport } from '../broker/audit.ts';
import type { Answers } from '../broker/auditExchange.ts';
import type { AuditRecord } from '../model/audit.ts';
import { exits } from './cli.ts';
import { formatFacts, formatTable, formatTime, isoTime } from './text.ts';

export const viewRecord = ({ at, requestId, previous: _, hash, ...record }: AuditRecord) => ({
  ...record,
  at: isoTime(at),
  request_id: requestId,
  hash: hash.toString('hex'),
});

/** Fingerprints and ids are told apart by their beginning; the whole is in `--json`. */
const subjectLength = 24;
const clipped = (text: string | null): string =>
  text === null ? '-' : text.length > subjectLength ? `${text.slice(0, subjectLength - 3)}...` : text;

export function describeRecords(records: readonly AuditRecord[]): string[] {
  if (records.length === 0) return ['No such records.'];
  return formatTable(
    ['NUMBER', 'TIME', 'KIND', 'OUTCOME', 'ACTOR', 'PARTNER', 'SUBJECT', 'RULE', 'REQUEST'],
    records.map(({ seq, at, kind, outcome, actor, partner, subject, rule, requestId }) => [
      ...[String(seq), formatTime(at), kind, outcome, actor, partner ?? '-'],
      ...[subject, rule, requestId].map(clipped),
    ]),
  );
}

export type AuditView = ReturnType<typeof viewReport>;

export function viewReport(report: AuditReport, answers: Answers) {
  const { broken, records, unproven, head, from, cut, witnesses, gaps, partners } = report;
  const silent = [...answers.keys()].filter((cloudId) => !partners.some((one) => one.cloudId === cloudId));
  return {
    ok: exitOf(report, answers) === exits.done,
    records,
    unproven,
    head: { seq: head.seq, hash: head.hash.toString('hex') },
    from: from?.seq ?? null,
    cut: cut && { seq: cut.seq, at: isoTime(cut.at) },
    checked_against: witnesses,
    lost_by_restore: gaps.map(({ from, till, witness }) => ({
      from,
      till,
      known: witness && { seq: witness.seq, by: witness.by },
    })),
    broken: broken && { ...broken },
    partners: [
      ...partners.map(({ cloudId, theirs, ours, alarms }) => ({
        cloud_id: cloudId,
        theirs: { seq: theirs.seq, hash: theirs.hash.toString('hex'), at: isoTime(theirs.at) },
        ours: ours && { seq: ours.seq, hash: ours.hash.toString('hex') },
        alarms,
        answer: answers.get(cloudId) ?? null,
      })),
      ...silent.map((cloudId) => ({
        cloud_id: cloudId,
        theirs: null,
        ours: null,
        alarms: [],
        answer: answers.get(cloudId) ?? null,
      })),
    ],
  };
}

/** What a partner holds against our audit is as bad as what we find ourselves; what we hold against theirs, or do not know, is not. */
export function exitOf({ broken, partners, lost, unproven }: AuditReport, answers: Answers): number {
  const [said, found] = [[...answers.values()], partners.flatMap(({ alarms }) => alarms)];
  if (broken || found.includes('disputed') || said.includes('refused')) return exits.failed;
  const isPartly = lost || unproven > 0 || found.length > 0 || said.some((answer) => answer !== 'told');
  return isPartly ? exits.partly : exits.done;
}

const faults: Readonly<Record<string, string>> = {
  backwards: 'ITS AUDIT HAS LOST RECORDS that it had shown to us',
  forked: 'ITS AUDIT SHOWS ANOTHER HISTORY than before',
  disputed: 'IT HOLDS A RECORD OF OUR AUDIT that is not there, or is another one',
  unsigned: 'what is stored here of its audit is not what it signed',
};

export function describeReport(view: AuditView): string[] {
  const {
    broken,
    records,
    unproven,
    head,
    from,
    cut,
    checked_against: checked,
    lost_by_restore: gaps,
    partners,
  } = view;
  const verdict = broken
    ? `BROKEN at record ${broken.seq}, ${broken.reason}: ${broken.details}`
    : unproven > 0
      ? `NOT PROVEN: consistent in itself, but this broker does not have ${unproven} of the records, which anybody can have made`
      : 'whole';
  return formatFacts([
    ['audit', verdict],
    ['records', `${records} in order${from === null ? '' : `, from number ${from + 1}`}, up to number ${head.seq}`],
    ['signed', `compared with ${checked} heads`],
    ...(cut ? ([['removed', `up to number ${cut.seq}, by retention, ${cut.at}`]] as const) : []),
    ...gaps.map(({ from, till, known }) => {
      const last = known ? `; ${known.by} knows of ${known.seq}` : '';
      return ['restored', `numbers ${from} to ${till} are lost by a restore${last}`] as const;
    }),
    ...partners.map(
      (partner) => [`partner ${partner.cloud_id}`, describePartner(partner)] as readonly [string, string],
    ),
  ]);
}

function describePartner({ theirs, ours, alarms, answer }: AuditView['partners'][number]): string {
  const held = ours ? `holds our record ${ours.seq}` : 'holds none of our records';
  const shown = theirs ? `has shown ${theirs.seq} of its own at ${theirs.at}` : 'has shown nothing';
  const refused = answer === 'refused' ? '; IT REFUSES OUR AUDIT, having seen records that are not there' : '';
  const silent = answer === 'unreachable' ? '; NOT REACHED now' : answer === 'withheld' ? '; told nothing now' : '';
  return `${held}, ${shown}${alarms.map((alarm) => `; ${faults[alarm]}`).join('')}${refused}${silent}`;
}
