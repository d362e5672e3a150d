/** What a mapping makes of a foreign user: names only, not yet looked up in this cloud. */
export interface MappedDomain {
  readonly id?: string;
  readonly name?: string;
}

/** Every yield says which rule it comes from, and whether that rule may give privileged roles. */
interface Yield {
  readonly rule: number;
  readonly allowPrivileged: boolean;
}

export interface MappedRole extends Yield {
  readonly name: string;
}

export interface MappedProject extends Yield {
  readonly name: string;
  /** Null: the default domain. */
  readonly domain: MappedDomain | null;
  readonly roles: readonly MappedRole[];
}

export interface MappedUser extends Yield {
  readonly type: 'ephemeral' | 'local';
  readonly id: string | null;
  readonly name: string | null;
  readonly email: string | null;
  readonly domain: MappedDomain | null;
}

export interface MappedGroup extends Yield {
  readonly id: string | null;
  readonly name: string | null;
  readonly domain: MappedDomain | null;
}

export interface RuleTrace {
  readonly rule: number;
  readonly effect: 'allow' | 'deny';
  readonly fired: boolean;
  /** One sentence: what was met, or the first item that was not. */
  readonly why: string;
}

export type DenialReason =
  /** The partner has no mapping; the mapping cannot be read any more. */
  | 'no_mapping'
  | 'mapping_unreadable'
  | 'partner_not_active'
  /** A value of the foreign token holds what no name may hold. */
  | 'value_refused'
  | 'no_rule'
  | 'deny_rule'
  /** A rule uses a list of several values, or of none, where one name stands. */
  | 'not_one_value'
  | 'no_user'
  | 'local_users_not_allowed'
  | 'user_missing'
  | 'group_missing'
  | 'no_project'
  /** It leads to more projects and groups than are looked up for one token. */
  | 'too_many_places'
  | 'project_missing'
  | 'project_refused'
  /** It was provisioned, and not for this user. */
  | 'project_taken'
  | 'role_missing'
  | 'role_refused'
  | 'no_roles'
  /** This cloud has a domain of the name or id that is kept for the partner's users. */
  | 'domain_taken'
  /** The token is of a domain or of the whole system. */
  | 'scope_refused'
  /** The token carries a restriction that cannot be carried over. */
  | 'restricted';

/** What a foreign user does not get although a rule names it. */
export interface Omission {
  readonly reason: DenialReason;
  readonly details: string;
}

export interface MappingAcceptance {
  readonly kind: 'accepted';
  /** Numbers of the rules that fired: `1, 3`. */
  readonly rule: string;
  readonly user: MappedUser;
  readonly groups: readonly MappedGroup[];
  readonly projects: readonly MappedProject[];
  /** For the project that the user gets, whichever it is. */
  readonly roles: readonly MappedRole[];
  readonly trace: readonly RuleTrace[];
  /** What was left out. */
  readonly omissions: readonly Omission[];
}

export interface MappingDenial {
  readonly kind: 'denied';
  readonly reason: DenialReason;
  /** What exactly, for log and terminal. */
  readonly details: string;
  readonly trace: readonly RuleTrace[];
}

export type MappingOutcome = MappingAcceptance | MappingDenial;
